# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

# The nodes on ROS 2 Jazzy. docker build -f docker/robot.Dockerfile -t tasktp-robot .
# PyTorch as published runs on CPUs and, with `docker run --gpus all`, on NVIDIA's GPUs. TORCH_INDEX names a place with other
# builds, such as PyTorch's own for CPUs alone, which are a tenth of the size.
ARG BASE=ros:jazzy
FROM ${BASE}
ARG TORCH_INDEX=""
ENV PIP_BREAK_SYSTEM_PACKAGES=1 PIP_NO_CACHE_DIR=1
SHELL ["/bin/bash", "-c"]
WORKDIR /ws
RUN apt-get update && apt-get install -y --no-install-recommends python3-pip && rm -rf /var/lib/apt/lists/* \
    && pip install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "torch>=2.11,<2.15" "torchvision>=0.26,<0.30"
COPY . src/tasktp_ros
RUN apt-get update && rosdep update && rosdep install --from-paths src --ignore-src -y -t build -t buildtool -t exec \
    && rm -rf /var/lib/apt/lists/*
RUN source /opt/ros/$ROS_DISTRO/setup.bash && colcon build --packages-select tasktp_ros --cmake-args -DBUILD_TESTING=OFF
RUN printf '#!/bin/bash\nset -e\nsource /ws/install/setup.bash\nexec "$@"\n' > /ws/entrypoint.sh && chmod +x /ws/entrypoint.sh
# Models that `tasktp fetch` brings: mount a folder here to keep them.
ENV XDG_CACHE_HOME=/models
ENTRYPOINT ["/ws/entrypoint.sh"]
CMD ["ros2", "launch", "tasktp_ros", "perception.launch.py"]
