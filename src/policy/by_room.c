/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups candidates by the GPU they are on. Each GPU has the room that is left after what this
 * answer has already taken. Within a GPU the order offered decides.
 */
#include "by_room.h"

#include "answer.h"
#include "cleanup.h"

struct rooms {
	const struct ga_question *question;
	struct ga_room *rooms; /* by place */
	size_t places;
	bool *taken; /* by candidate */
};

static int64_t known(int64_t memory)
{
	return memory > 0 ? memory : 0;
}

static void take(struct rooms *rooms, size_t number)
{
	const struct ga_candidate *candidate = &rooms->question->candidates[number];
	struct ga_room *room = &rooms->rooms[candidate->place];

	rooms->taken[number] = true;
	room->count--;
	room->memory -= known(candidate->free);
	room->taken++;
}

static void count_rooms(struct rooms *rooms)
{
	const struct ga_question *question = rooms->question;

	for (size_t i = 0; i < question->candidate_count; i++) {
		struct ga_room *room = &rooms->rooms[question->candidates[i].place];

		room->count++;
		room->memory += known(question->candidates[i].free);
	}
	for (size_t i = 0; i < question->required_count; i++)
		take(rooms, question->required[i]);
}

static size_t next(const struct rooms *rooms,
		   bool (*better)(const struct ga_room *a, const struct ga_room *b))
{
	size_t best = rooms->places, number = 0;

	for (size_t place = 0; place < rooms->places; place++)
		if (rooms->rooms[place].count > 0 &&
		    (best == rooms->places || better(&rooms->rooms[place], &rooms->rooms[best])))
			best = place;
	while (rooms->taken[number] || rooms->question->candidates[number].place != best)
		number++;
	return number;
}

int ga_by_room_choose(bool (*better)(const struct ga_room *a, const struct ga_room *b),
		      const struct ga_question *question, struct ga_answer *ret_answer,
		      gpualloc_error *error)
{
	size_t places = question->machine->device_count;
	ga_auto_free struct ga_room *room = calloc(places + 1, sizeof *room);
	ga_auto_free bool *taken = calloc(question->candidate_count, sizeof *taken);
	struct rooms rooms = {question, room, places, taken};
	int result;

	if (!room || !taken)
		return ga_error_memory(error);
	count_rooms(&rooms);
	result = ga_answer_begin(question, ret_answer, error);
	while (result == 0 && ret_answer->count < question->want) {
		size_t number = next(&rooms, better);

		take(&rooms, number);
		ret_answer->chosen[ret_answer->count++] = number;
	}
	return result;
}
