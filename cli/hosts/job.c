/* SPDX-License-Identifier: Apache-2.0 */
/* What tether and session have in common; see job.h. */
#include "hosts/job.h"

#include "message.h"
#include "options.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { STATUS_DATA = 65 };

int job_check(const struct call *call)
{
	/* Others are about this process's own surroundings, or about a lease that it has. */
	static const enum option_id able[] = {
		OPTION_CHDIR,  OPTION_COUNT,      OPTION_DEADLINE,
		OPTION_ENV,    OPTION_EXCLUDE,    OPTION_FENCE,
		OPTION_FORM,   OPTION_IGNORE_ENV, OPTION_IGNORE_PROCESSES,
		OPTION_JSON,   OPTION_KEEP,       OPTION_MACHINE,
		OPTION_MEMORY, OPTION_MIG,        OPTION_MIXED,
		OPTION_MODEL,  OPTION_NOTE,       OPTION_ON,
		OPTION_ONLY,   OPTION_POLICY,     OPTION_PRIVATE,
		OPTION_QUIET,  OPTION_REQUIRE,    OPTION_SEED,
		OPTION_SHARE,  OPTION_SUPERVISE,  OPTION_TIME_LIMIT,
		OPTION_WAIT};

	for (const enum option_id *id = call->command->options; *id != OPTION_END; id++) {
		bool is_able = !call->value[*id];

		for (size_t i = 0; i < sizeof able / sizeof *able; i++)
			is_able = is_able || able[i] == *id;
		if (!is_able)
			return fail_usage(call->command, "--%s does not go with --on",
					  option_info(*id)->name);
	}
	return 0;
}

bool job_address(const char *token, struct sockaddr_un *ret_address, unsigned *ret_size)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int size;

	if (strlen(token) != (size_t)2 * TOKEN_BYTES ||
	    strspn(token, "0123456789abcdef") != (size_t)2 * TOKEN_BYTES)
		return false;
	/* In the kernel's own namespace: nothing is left in a folder, whoever is killed. */
	size = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "gpualloc-job-%s",
			token);
	*ret_address = address;
	*ret_size = (unsigned)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)size);
	return true;
}

/* Such a name can be taken by anybody. */
bool job_is_own(int fd, int *ret_pid)
{
	struct ucred peer;
	socklen_t size = sizeof peer;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || peer.uid != geteuid())
		return false;
	*ret_pid = peer.pid;
	return true;
}

int job_move_in(const struct request *request)
{
	const char *home = getenv("HOME");

	if (request->folder && chdir(request->folder) == 0)
		return 0;
	if (request->folder && request->must_exist)
		return fail(STATUS_DATA, "cannot run in %s: %s", request->folder, strerror(errno));
	(void)!chdir(home ? home : "/");
	return 0;
}
