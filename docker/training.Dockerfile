# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

# Training and evaluation, without ROS. docker build -f docker/training.Dockerfile -t tasktp-training .
# docker run --gpus all --shm-size 16g -v $PWD:/work tasktp-training train coco-tiny-gates --data coco --init svit-dense-tiny
FROM python:3.12-slim
ARG TORCH_INDEX=""
ENV PIP_NO_CACHE_DIR=1
# A compiler for the fast backward on CPUs, OpenGL for rendered rooms, curl for COCO.
RUN apt-get update && apt-get install -y --no-install-recommends build-essential ninja-build curl git libegl1 libgl1-mesa-dri libosmesa6 \
    && rm -rf /var/lib/apt/lists/* \
    && pip install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "torch>=2.11,<2.15" "torchvision>=0.26,<0.30"
COPY . /src/tasktp_ros
RUN pip install "/src/tasktp_ros[training]"
ENV XDG_CACHE_HOME=/work/.cache
WORKDIR /work
ENTRYPOINT ["tasktp"]
CMD ["--help"]
