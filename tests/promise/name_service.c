/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A preloaded name service that knows nobody. For each question it notes in the file $NAMES_LOG
 * whether the file $NAMES_ARBITER was locked at the time.
 */
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

int getpwuid_r(uid_t uid, struct passwd *entry, char *space, size_t size, struct passwd **found)
{
	const char *arbiter = getenv("NAMES_ARBITER"), *path = getenv("NAMES_LOG"), *word;
	int lock = arbiter ? open(arbiter, O_RDONLY | O_CLOEXEC) : -1;
	int log = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;

	(void)uid, (void)entry, (void)space, (void)size;
	word = lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) < 0 ? "under\n" : "outside\n";
	if (log >= 0) {
		(void)!write(log, word, strlen(word));
		close(log);
	}
	if (lock >= 0)
		close(lock);
	*found = NULL;
	return 0;
}
