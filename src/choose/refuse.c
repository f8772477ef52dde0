/* SPDX-License-Identifier: Apache-2.0 */
/* What to say when a request cannot be met; see refuse.h. */
#include "refuse.h"

#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* This many lines of reasons; nobody reads more. */
enum {
	REASONS_MAX = 8,
	IDS_SIZE = 160,
	WHY_SIZE = REASONS_MAX * (IDS_SIZE + GA_REASON_SIZE + 8) + 32,
};

/* Devices with the same reason share a line. Returns how many have the same reason as the i-th. */
static size_t gather_alike(const struct ga_selection *selection, size_t i,
			   const gpualloc_device **alike)
{
	const struct gpualloc_rejection *rejections = selection->rejections;
	size_t count = 0;

	for (size_t j = 0; j < selection->rejection_count; j++) {
		if (strcmp(rejections[j].reason, rejections[i].reason) != 0)
			continue;
		if (j < i)
			return 0;
		alike[count++] = rejections[j].device;
	}
	return count;
}

static unsigned remedies_of(const struct ga_selection *selection)
{
	unsigned remedies = GPUALLOC_REMEDY_NONE;

	for (size_t i = 0; i < selection->rejection_count; i++)
		remedies |= selection->rejections[i].remedies;
	return remedies;
}

static int list_reasons(const struct ga_selection *selection, char why[static WHY_SIZE])
{
	ga_auto_free const gpualloc_device **alike =
		calloc(selection->rejection_count + 1, sizeof *alike);
	size_t length = 0, lines = 0, said = 0;

	if (!alike)
		return GPUALLOC_ENOMEM;
	why[0] = '\0';
	for (size_t i = 0; i < selection->rejection_count && lines < REASONS_MAX; i++) {
		size_t count = gather_alike(selection, i, alike);
		char ids[IDS_SIZE];

		if (count == 0)
			continue;
		if (ga_device_ids(alike, count, ids, sizeof ids) >= sizeof ids)
			(void)snprintf(ids, sizeof ids, "%zu devices", count);
		length += (size_t)snprintf(why + length, WHY_SIZE - length, "\n  %s: %s", ids,
					   selection->rejections[i].reason);
		lines++;
		said += count;
	}
	if (said < selection->rejection_count)
		(void)snprintf(why + length, WHY_SIZE - length, "\n  and %zu more",
			       selection->rejection_count - said);
	return 0;
}

static int too_few(const struct ga_selection *selection, const gpualloc_request *request,
		   gpualloc_error *error)
{
	size_t now = selection->candidate_count, later = now;
	size_t all = now + selection->rejection_count;
	const char *kind = request->mig ? "MIG instance" : "GPU";
	const char *plural = selection->want == 1 ? "" : "s";
	char why[WHY_SIZE], most[32] = "none";

	for (size_t i = 0; i < selection->rejection_count; i++)
		later += selection->rejections[i].for_now;
	if (list_reasons(selection, why) < 0)
		return ga_error_memory(error);
	if (later >= selection->want)
		return ga_error_set(error, GPUALLOC_EBUSY, "%zu %s%s asked for, %zu free now%s",
				    selection->want, kind, plural, now, why);
	/* What they are busy with does not matter then. */
	if (later == all)
		return ga_error_set(error, GPUALLOC_EIMPOSSIBLE,
				    "%zu %s%s asked for, this machine has %zu", selection->want,
				    kind, plural, all);
	if (later > 0)
		(void)snprintf(most, sizeof most, "only %zu", later);
	return ga_error_set(error, GPUALLOC_EIMPOSSIBLE,
			    "%zu %s%s asked for, but %s can ever be available here%s",
			    selection->want, kind, plural, most, why);
}

int ga_refuse_too_few(const struct ga_selection *selection, const gpualloc_request *request,
		      gpualloc_error *error)
{
	int status = too_few(selection, request, error);

	return status == GPUALLOC_ENOMEM ? status
					 : ga_error_remedy(error, status, remedies_of(selection));
}

/* ---- profiles ---- */

/*
 * Adds ", NAME" unless it is already there; the space and the comma keep 1g.5gb apart from
 * 1g.5gb+me.
 */
static void add_profile(char *known, size_t size, const char *name)
{
	size_t length = strlen(known);
	char word[64];

	(void)snprintf(word, sizeof word, " %.50s,", name ? name : "?");
	if (!strstr(known, word) && length + strlen(word) < size)
		(void)snprintf(known + length, size - length, "%s", word);
}

int ga_refuse_unknown_profile(const gpualloc_machine *machine, const gpualloc_request *request,
			      gpualloc_error *error)
{
	char known[512] = "";

	if (!request->profile)
		return 0;
	for (size_t i = 0; i < machine->device_count; i++)
		for (size_t m = 0; m < machine->devices[i].mig_count; m++) {
			const char *one = machine->devices[i].mig[m].profile;

			if (ga_text_same(one, request->profile))
				return 0;
			add_profile(known, sizeof known, one);
		}
	if (!*known)
		return ga_error_set(error, GPUALLOC_EIMPOSSIBLE,
				    "this machine has no MIG instances");
	known[strlen(known) - 1] = '\0';
	return ga_error_set(error, GPUALLOC_EUSAGE,
			    "there is no MIG profile %.50s here; this machine has%s",
			    request->profile, known);
}

/* ---- models ---- */

static const char *model_of(const gpualloc_device *device)
{
	return device->parent ? device->parent->name : device->name;
}

/* How many there would be of one model if none were busy. */
static size_t count_model(const struct ga_selection *selection, const char *name)
{
	size_t count = 0;

	for (size_t i = 0; i < selection->candidate_count; i++)
		count += ga_text_same(model_of(selection->candidates[i].device), name);
	for (size_t i = 0; i < selection->rejection_count; i++)
		count += selection->rejections[i].for_now &&
			 ga_text_same(model_of(selection->rejections[i].device), name);
	return count;
}

static bool required_differ(const struct ga_selection *selection)
{
	for (size_t i = 1; i < selection->required_count; i++) {
		size_t one = selection->required[0], other = selection->required[i];

		if (!ga_text_same(model_of(selection->candidates[one].device),
				  model_of(selection->candidates[other].device)))
			return true;
	}
	return false;
}

static int models_differ(const struct ga_selection *selection, gpualloc_error *error)
{
	size_t most = 0;

	if (required_differ(selection))
		return ga_error_set(error, GPUALLOC_EUSAGE,
				    "the required devices are not all of the same model");
	for (size_t i = 0; i < selection->candidate_count; i++) {
		const gpualloc_device *device = selection->candidates[i].device;
		size_t count = count_model(selection, model_of(device));

		if (selection->required_count > 0 && i != selection->required[0])
			continue;
		most = count > most ? count : most;
	}
	if (most >= selection->want)
		return ga_error_set(error, GPUALLOC_EBUSY,
				    "there are not %zu free devices of one model now",
				    selection->want);
	return ga_error_set(error, GPUALLOC_EIMPOSSIBLE,
			    "%zu devices asked for, but there are only %zu of one model",
			    selection->want, most);
}

int ga_refuse_models(const struct ga_selection *selection, gpualloc_error *error)
{
	return ga_error_remedy(error, models_differ(selection, error), GPUALLOC_REMEDY_MIX_MODELS);
}
