/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent says: lines on standard error, for people or as JSON. */
#ifndef DEVICEPLUGIN_LOG_H
#define DEVICEPLUGIN_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO };

struct log {
	bool json;
};

void log_say(const struct log *log, enum log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
