/* SPDX-License-Identifier: Apache-2.0 */
/* The one file that differs between the fakes. */
#include "fake_nvml.h"

const int fake_driver = FAKE_DRIVER;
