# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Programs that are started without gpualloc see no GPU, because CUDA sees none: a reminder, not a fence.
# `gpualloc run` overrides it. To switch it on, copy this file to /etc/profile.d; for root, and where
# somebody has set the variable, it changes nothing.
if [ -z "${CUDA_VISIBLE_DEVICES+is set}" ] && [ "$(id -u)" != 0 ]; then
  export CUDA_VISIBLE_DEVICES=
fi
