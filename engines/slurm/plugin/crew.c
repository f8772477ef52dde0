/* SPDX-License-Identifier: Apache-2.0 */
/* One lease for several tasks; see crew.h. */
#include "crew.h"

#include "owned.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct board {
	size_t size;
	bool is_refusal;
	char text[CREW_TEXT];
};

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int open_board(struct crew *crew)
{
	void *memory = mmap(NULL, sizeof *crew->board, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return GPUALLOC_ENOMEM;
	crew->board = memory;
	return pipe2(crew->bell, O_CLOEXEC) == 0 ? 0 : GPUALLOC_EIO;
}

int crew_open(struct crew *crew, const char *path, unsigned tasks, gpualloc_error *error)
{
	auto_store gpualloc_store *store = NULL;
	int result = gpualloc_store_open(path, 0, &store, error);

	*crew = CREW_NONE;
	crew->tasks = tasks;
	if (result == 0)
		result = gpualloc_store_place(store, &crew->place, error);
	if (result == 0)
		result = open_board(crew);
	if (result < 0)
		crew_close(crew);
	return result;
}

void crew_close(struct crew *crew)
{
	close_one(&crew->place);
	close_one(&crew->bell[0]);
	close_one(&crew->bell[1]);
	if (crew->board)
		(void)munmap(crew->board, sizeof *crew->board);
	crew->board = NULL;
}

void crew_forked(struct crew *crew)
{
	if (++crew->forked < crew->tasks)
		return;
	close_one(&crew->bell[0]);
	close_one(&crew->bell[1]);
}

/* Here and not when the daemon ends: Slurm hands out the step's devices before that. */
void crew_ended(struct crew *crew)
{
	if (++crew->ended >= crew->tasks)
		crew_close(crew);
}

void crew_tell(struct crew *crew, const char *text, size_t size, bool is_refusal)
{
	char rings[256] = {0};
	size_t left = crew->tasks > 0 ? crew->tasks - 1 : 0;

	crew->board->size = size < CREW_TEXT ? size : CREW_TEXT;
	memcpy(crew->board->text, text, crew->board->size);
	crew->board->is_refusal = is_refusal;
	while (left > 0) {
		ssize_t rung =
			write(crew->bell[1], rings, left < sizeof rings ? left : sizeof rings);

		if (rung < 0 && errno != EINTR)
			break;
		left -= rung > 0 ? (size_t)rung : 0;
	}
	close_one(&crew->bell[1]);
}

const char *crew_hear(struct crew *crew, size_t *ret_size, bool *ret_is_refusal)
{
	ssize_t heard;
	char ring;

	close_one(&crew->bell[1]);
	do
		heard = read(crew->bell[0], &ring, 1);
	while (heard < 0 && errno == EINTR);
	if (heard != 1)
		return NULL;
	*ret_size = crew->board->size;
	*ret_is_refusal = crew->board->is_refusal;
	return crew->board->text;
}
