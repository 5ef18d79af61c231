# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

# Programs name the interpreter they were built with, so that a started node finds the packages of its environment.
# The kernel takes a first line of 127 bytes without spaces; for any other path the shell starts it, as pip's programs do:
# to the shell the second line is a command, to Python a text.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
string(LENGTH "${Python3_EXECUTABLE}" interpreter_length)
if(Python3_EXECUTABLE MATCHES " " OR interpreter_length GREATER 120)
  set(interpreter "/bin/sh\n'''exec' \"${Python3_EXECUTABLE}\" \"$0\" \"$@\"\n' '''")
else()
  set(interpreter "${Python3_EXECUTABLE}")
endif()

set(program_template ${CMAKE_CURRENT_LIST_DIR}/program.py.in)

# Install a program that runs main() of a module.
function(install_program name module destination)
  configure_file(${program_template} ${CMAKE_CURRENT_BINARY_DIR}/scripts/${name} @ONLY)
  install(PROGRAMS ${CMAKE_CURRENT_BINARY_DIR}/scripts/${name} DESTINATION ${destination})
endfunction()
