/* SPDX-License-Identifier: Apache-2.0 */
/* One line that says what a slow driver is being asked, and goes away again; see asking.h. */
#include "asking.h"

#include "columns.h"
#include "message.h"
#include "terminal.h"

#include <unistd.h>

static void tell(void *context, const char *text)
{
	struct terminal terminal = terminal_of(STDERR_FILENO);
	ga_auto_buffer struct ga_buffer line = GA_BUFFER_INIT(1 << 12), paint = line;

	(void)context;
	ga_buffer_text(&paint, "\r\033[K");
	if (text) {
		ga_buffer_format(&line, "gpualloc: %s", text);
		columns_cut(&paint, line.data ? line.data : "", terminal.width - 1);
	}
	if (!paint.failed)
		(void)!write(STDERR_FILENO, paint.data, paint.size);
}

gpualloc_waiting_function *asking_teller(const struct call *call)
{
	bool is_told = isatty(STDERR_FILENO) && !call->value[OPTION_QUIET];

	return is_told && !message_is_json() ? tell : NULL;
}
