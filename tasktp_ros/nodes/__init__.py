"""The ROS face: nodes, and messages to arrays and back. The only folder that imports rclpy."""
