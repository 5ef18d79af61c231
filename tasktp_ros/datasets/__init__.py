"""Where images come from: folders, videos, ROS 2 bags and generated scenes, readable without ROS."""
