/* SPDX-License-Identifier: Apache-2.0 */
/* A whole file, within a limit; see read_file.h. */
#include "read_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int read_file(const char *path, size_t limit, struct text *text)
{
	char part[16384];
	size_t size = 0;
	ssize_t got;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), reason = 0;

	if (fd < 0)
		return errno;
	while (!reason && (got = read(fd, part, sizeof part)) != 0) {
		if (got < 0 && errno != EINTR)
			reason = errno;
		if (got <= 0)
			continue;
		size += (size_t)got;
		if (size > limit)
			reason = EFBIG;
		else
			text_append(text, part, (size_t)got);
	}
	(void)close(fd);
	return reason;
}
