/* SPDX-License-Identifier: Apache-2.0 */
/* Which devices may be chosen, and why the others may not; see select.h. */
#include "select.h"

#include "device_state.h"
#include "offer.h"
#include "refuse.h"
#include "size.h"
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* More than a rejection has, so that what does not fit there is seen to be cut. */
enum { STATE_REASON_SIZE = 2 * GA_REASON_SIZE };

void ga_selection_free(struct ga_selection *selection)
{
	free(selection->candidates);
	free(selection->required);
	free(selection->rejections);
	ga_device_set_free(&selection->idle);
	*selection = (struct ga_selection){0};
}

/* The lists of a request, looked up on a machine. */
struct lists {
	struct ga_device_list only, exclude, require, visible;
};

static void lists_free(struct lists *lists)
{
	ga_device_list_free(&lists->only);
	ga_device_list_free(&lists->exclude);
	ga_device_list_free(&lists->require);
	ga_device_list_free(&lists->visible);
}
#define auto_lists ga_cleanup(lists_free)

static int parse_option(const gpualloc_machine *machine, const char *option, const char *text,
			struct ga_device_list *list, gpualloc_error *error)
{
	int result = text ? ga_device_list_parse(machine, text, list, error) : 0;

	return result < 0 ? ga_error_prefix(error, result, "--%s: ", option) : 0;
}

static int parse_lists(const gpualloc_machine *machine, const gpualloc_request *request,
		       struct lists *lists, gpualloc_error *error)
{
	struct ga_environment environment = {request->visible, request->device_order};
	int result = parse_option(machine, "only", request->only, &lists->only, error);

	if (result == 0)
		result = parse_option(machine, "exclude", request->exclude, &lists->exclude, error);
	if (result == 0)
		result = parse_option(machine, "require", request->require, &lists->require, error);
	if (result == 0 && request->visible)
		result = ga_visible_devices(machine, &environment, &lists->visible, error);
	return result;
}

/* ---- one device ---- */

struct selecting {
	const gpualloc_machine *machine;
	const gpualloc_request *request;
	const struct lists *lists;
	struct ga_selection *selection;
	gpualloc_error *error;
};

/* A text that fills its room ends in an ellipsis, and not within a character. */
static void show_cut(char *text, size_t size)
{
	static const char ellipsis[] = "\xe2\x80\xa6";
	size_t end = size - sizeof ellipsis;

	while (end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80)
		end--;
	memcpy(text + end, ellipsis, sizeof ellipsis);
}

/* Both return true: the device is rejected. */
static bool reject(struct selecting *selecting, const gpualloc_device *device, bool for_now,
		   const char *format, ...) __attribute__((format(printf, 4, 5)));
static bool reject(struct selecting *selecting, const gpualloc_device *device, bool for_now,
		   const char *format, ...)
{
	struct ga_selection *selection = selecting->selection;
	struct gpualloc_rejection *rejection = &selection->rejections[selection->rejection_count++];
	va_list arguments;
	int length;

	rejection->device = device;
	rejection->for_now = for_now;
	rejection->remedies = GPUALLOC_REMEDY_NONE;
	va_start(arguments, format);
	length = vsnprintf(rejection->reason, sizeof rejection->reason, format, arguments);
	va_end(arguments);
	if (length >= (int)sizeof rejection->reason)
		show_cut(rejection->reason, sizeof rejection->reason);
	return true;
}

/* As reject(), for the device that was rejected last. */
static bool may_help(struct selecting *selecting, unsigned remedies)
{
	struct ga_selection *selection = selecting->selection;

	selection->rejections[selection->rejection_count - 1].remedies |= remedies;
	return true;
}

static bool contains(const char *text, const char *part)
{
	size_t length = strlen(part);

	for (; text && *text; text++)
		if (strncasecmp(text, part, length) == 0)
			return true;
	return length == 0;
}

static const char another_model[] = "another model: ", another_profile[] = "another profile: ";
static const char unknown_model[] = "its model is not known";

static const char *model_of(const gpualloc_device *device)
{
	const gpualloc_device *gpu = device->parent ? device->parent : device;

	return gpu->name ? gpu->name : "?";
}

/* A GPU that is lost cannot say its model, but that is not what is wrong with it. */
static const char *unwanted_model(const gpualloc_device *gpu, const char *model)
{
	if (gpu->name)
		return contains(gpu->name, model) ? "" : another_model;
	return gpu->health == GPUALLOC_HEALTH_OK ? unknown_model : "";
}

/* Whether the request rules the device out, whatever its state now; "" if it does not. */
static const char *unwanted(const struct selecting *selecting, const gpualloc_device *device)
{
	const gpualloc_request *request = selecting->request;
	const struct lists *lists = selecting->lists;
	const gpualloc_device *gpu = device->parent ? device->parent : device;

	if (request->only && !ga_device_list_has(&lists->only, device))
		return "not one of those asked for";
	if (ga_device_list_has(&lists->exclude, device))
		return "excluded by the request";
	if (request->model && *unwanted_model(gpu, request->model))
		return unwanted_model(gpu, request->model);
	if (request->profile && !ga_text_same(device->profile, request->profile))
		return another_profile;
	return "";
}

/* Nothing that ignoring the variable would not change is said before this. */
static bool is_invisible(struct selecting *selecting, const gpualloc_device *device)
{
	const char *visible = selecting->request->visible;
	const struct ga_device_list *shown = &selecting->lists->visible;
	const gpualloc_device *gpu = device->parent ? device->parent : device;

	if (!visible || ga_device_list_has(shown, device) ||
	    (device->parent && gpu->mig_count > 0 && ga_device_list_has(shown, &gpu->mig[0]) &&
	     !strchr(visible, '-')))
		return false;
	return reject(selecting, device, false, "not in the inherited CUDA_VISIBLE_DEVICES") &&
	       may_help(selecting, GPUALLOC_REMEDY_IGNORE_VISIBLE);
}

static int64_t capacity(const gpualloc_device *device)
{
	const struct ga_memory *memory = &device->memory;

	int64_t most = memory->total - (memory->reserved > 0 ? memory->reserved : 0);

	if (memory->total < 0)
		return GA_UNKNOWN;
	return device->lease.most >= 0 && device->lease.most < most ? device->lease.most : most;
}

/* Budgets count whole MiB: available memory is rounded down, wanted memory up. */
static int64_t rounded(const gpualloc_request *request, int64_t bytes, bool up)
{
	const int64_t mib = INT64_C(1) << 20;

	if (!request->share || bytes < 0 || bytes > INT64_MAX - mib)
		return bytes;
	return (bytes + (up ? mib - 1 : 0)) / mib * mib;
}

/*
 * Memory of the processes that make the device busy. If it cannot be told apart, all of it counts.
 */
static int64_t busy_memory(const gpualloc_device *device)
{
	bool any = false;
	int64_t sum = 0;

	for (size_t i = 0; i < device->process_count; i++) {
		const struct gpualloc_process *process = &device->processes[i];

		if (!ga_process_computes(process))
			continue;
		if (process->memory < 0)
			return INT64_MAX;
		sum += process->memory;
		any = true;
	}
	if (any && !device->processes_hidden)
		return sum;
	if (device->memory.used < 0)
		return INT64_MAX;
	return device->memory.used > sum ? device->memory.used : sum;
}

/* "has 9.5 GiB free, but 10.0 GiB are asked for"; in bytes if the two would look the same. */
static const char *compare_amounts(int64_t has, const char *how, int64_t wanted,
				   char text[static GA_REASON_SIZE])
{
	char want_text[GA_SIZE_TEXT], has_text[GA_SIZE_TEXT];

	if (strcmp(ga_size_text(has, has_text), ga_size_text(wanted, want_text)) == 0)
		(void)snprintf(text, GA_REASON_SIZE, "has %lld bytes%s, but %lld are asked for",
			       (long long)has, how, (long long)wanted);
	else
		(void)snprintf(text, GA_REASON_SIZE, "has %s%s, but %s are asked for", has_text,
			       how, want_text);
	return text;
}

/* Checks whose outcome nobody can change come first: the first that fails gives the reason. */

static bool is_unfit(struct selecting *selecting, const gpualloc_device *device)
{
	enum gpualloc_state state = ga_device_state(device);
	char reason[STATE_REASON_SIZE];

	if (state != GPUALLOC_STATE_UNHEALTHY && !ga_state_is_excluded(state))
		return false;
	(void)ga_device_reason(device, reason, sizeof reason);
	return reject(selecting, device, false, "%s: %s", ga_state_name(state), reason);
}

static bool is_too_small(struct selecting *selecting, const gpualloc_device *device)
{
	const gpualloc_request *request = selecting->request;
	int64_t most = rounded(request, capacity(device), false);
	int64_t wanted = rounded(request, request->memory, true);
	char amounts[GA_REASON_SIZE];

	if (wanted < 0)
		return false;
	if (request->share && !ga_device_is_placed(device))
		return reject(
			selecting, device, false,
			"its place on its GPU (GI and CI) is not known, so it can be used whole "
			"but not shared");
	if (most < 0 || ga_device_memory_free(device) < 0)
		return reject(selecting, device, false, "its free memory is not known");
	return most < wanted && reject(selecting, device, false, "too small: %s",
				       compare_amounts(most, "", wanted, amounts));
}

static bool is_busy(struct selecting *selecting, const gpualloc_device *device)
{
	const gpualloc_request *request = selecting->request;
	char reason[STATE_REASON_SIZE], has[GA_SIZE_TEXT], tolerated[GA_SIZE_TEXT];
	int64_t busy;

	if (ga_device_state(device) != GPUALLOC_STATE_IN_USE || ga_request_by_memory(request))
		return false;
	busy = busy_memory(device);
	if (busy <= request->tolerate)
		return false;
	(void)ga_device_reason(device, reason, sizeof reason);
	if (request->tolerate < 0)
		return reject(selecting, device, true, "in use: %s", reason) &&
		       may_help(selecting, GPUALLOC_REMEDY_IGNORE_PROCESSES);
	return reject(selecting, device, true,
		      "in use: %.140s; processes use %s, but only %s is tolerated", reason,
		      busy == INT64_MAX ? "an unknown amount" : ga_size_text(busy, has),
		      ga_size_text(request->tolerate, tolerated));
}

/* A share fits beside other shares. */
static bool is_leased(struct selecting *selecting, const gpualloc_device *device)
{
	const struct ga_device_lease *lease = &device->lease;
	char reason[STATE_REASON_SIZE];

	/* Budgets fit beside each other. */
	if (lease->kept || (lease->promised > 0 && !selecting->request->share)) {
		(void)ga_device_kept_reason(device, reason, sizeof reason);
		return reject(selecting, device, true, "kept %s", reason);
	}
	if (!lease->held || (selecting->request->share && !lease->whole))
		return false;
	(void)ga_device_reason(device, reason, sizeof reason);
	return reject(selecting, device, true, "leased%s %s",
		      ga_device_state(device) == GPUALLOC_STATE_INTRUDER ? ":" : "", reason);
}

static bool is_too_full(struct selecting *selecting, const gpualloc_device *device)
{
	const gpualloc_request *request = selecting->request;
	int64_t now = rounded(request, ga_device_room(device), false);
	int64_t wanted = rounded(request, request->memory, true);
	const char *how = device->lease.held       ? "; leased "
			  : device->lease.promised ? "; kept "
						   : "; ";
	char amounts[GA_REASON_SIZE], reason[STATE_REASON_SIZE];

	if (now >= wanted)
		return false;
	(void)ga_device_reason(device, reason, sizeof reason);
	return reject(selecting, device, true, "%s%s%s",
		      compare_amounts(now, " free", wanted, amounts), *reason ? how : "", reason);
}

static void consider(struct selecting *selecting, const gpualloc_device *device, size_t place)
{
	struct ga_selection *selection = selecting->selection;
	const char *why = unwanted(selecting, device);

	if (*why) {
		(void)reject(selecting, device, false, "%s%.80s", why,
			     why == another_model     ? model_of(device)
			     : why == another_profile ? device->profile ? device->profile : "?"
						      : "");
		return;
	}
	if (is_unfit(selecting, device) || is_too_small(selecting, device) ||
	    is_invisible(selecting, device) || is_leased(selecting, device) ||
	    is_busy(selecting, device) || is_too_full(selecting, device))
		return;
	selection->candidates[selection->candidate_count++] =
		(struct ga_candidate){device, place, ga_device_room(device)};
}

static void consider_gpu(struct selecting *selecting, size_t place)
{
	const gpualloc_device *gpu = &selecting->machine->devices[place];

	if (selecting->request->mig && !gpu->mig_enabled)
		(void)reject(selecting, gpu, false, "a whole GPU, not in MIG mode");
	else if (selecting->request->mig)
		for (size_t m = 0; m < gpu->mig_count; m++)
			consider(selecting, &gpu->mig[m], place);
	else if (gpu->mig_enabled)
		(void)(reject(selecting, gpu, false, "in MIG mode, with %zu instances",
			      gpu->mig_count) &&
		       may_help(selecting, GPUALLOC_REMEDY_ASK_FOR_MIG));
	else
		consider(selecting, gpu, place);
}

/* ---- what is required ---- */

static const struct gpualloc_rejection *rejection_of(const struct ga_selection *selection,
						     const gpualloc_device *device)
{
	for (size_t i = 0; i < selection->rejection_count; i++)
		if (selection->rejections[i].device == device)
			return &selection->rejections[i];
	return NULL;
}

/* It is a GPU but instances are asked for, or the other way round. */
static int refuse_kind(const struct selecting *selecting, const gpualloc_device *device)
{
	char id[GA_DEVICE_ID_SIZE];
	int status =
		ga_error_set(selecting->error, GPUALLOC_EUSAGE,
			     "device %s is required, but it is %s", ga_device_id(device, id),
			     device->parent ? "a MIG instance" : "a GPU, not one of its instances");

	return device->parent
		       ? ga_error_remedy(selecting->error, status, GPUALLOC_REMEDY_ASK_FOR_MIG)
		       : status;
}

static int refuse_required(const struct selecting *selecting,
			   const struct gpualloc_rejection *rejection)
{
	char id[GA_DEVICE_ID_SIZE];
	bool is_asked_away = *unwanted(selecting, rejection->device) ||
			     (rejection->remedies & GPUALLOC_REMEDY_IGNORE_VISIBLE);
	int status = is_asked_away        ? GPUALLOC_EUSAGE
		     : rejection->for_now ? GPUALLOC_EBUSY
					  : GPUALLOC_EIMPOSSIBLE;

	(void)ga_error_set(selecting->error, status, "device %s is required, but %s",
			   ga_device_id(rejection->device, id), rejection->reason);
	return ga_error_remedy(selecting->error, status, rejection->remedies);
}

static int find_required(struct selecting *selecting)
{
	struct ga_selection *selection = selecting->selection;
	const struct ga_device_list *require = &selecting->lists->require;

	selection->required = calloc(require->count + 1, sizeof *selection->required);
	if (!selection->required)
		return ga_error_memory(selecting->error);
	for (size_t i = 0; i < require->count; i++) {
		const gpualloc_device *device = require->devices[i];
		const struct gpualloc_rejection *rejection = rejection_of(selection, device);
		size_t c = 0;

		while (c < selection->candidate_count && selection->candidates[c].device != device)
			c++;
		if (c < selection->candidate_count) {
			selection->required[selection->required_count++] = c;
			continue;
		}
		return rejection ? refuse_required(selecting, rejection)
				 : refuse_kind(selecting, device);
	}
	return 0;
}

/* ---- MIG: what one program can open ---- */

static int driver_major(const gpualloc_machine *machine)
{
	int64_t major;

	if (!machine->driver ||
	    !ga_text_number(machine->driver, strcspn(machine->driver, "."), 100000, &major))
		return -1;
	return (int)major;
}

static bool is_required(const struct ga_selection *selection, size_t candidate)
{
	for (size_t i = 0; i < selection->required_count; i++)
		if (selection->required[i] == candidate)
			return true;
	return false;
}

static bool same_gpu_instance(const gpualloc_device *a, const gpualloc_device *b)
{
	return a->parent == b->parent && a->gi >= 0 && a->gi == b->gi;
}

static void remove_candidate(struct ga_selection *selection, size_t candidate)
{
	selection->candidate_count--;
	memmove(&selection->candidates[candidate], &selection->candidates[candidate + 1],
		(selection->candidate_count - candidate) * sizeof *selection->candidates);
	for (size_t i = 0; i < selection->required_count; i++)
		selection->required[i] -= selection->required[i] > candidate;
}

/* Keeps one compute instance of each GPU instance: the required one, else the first. */
static int keep_one_of_each_instance(struct selecting *selecting)
{
	struct ga_selection *selection = selecting->selection;

	for (size_t i = 0; i < selection->candidate_count; i++)
		for (size_t j = i + 1; j < selection->candidate_count;) {
			const gpualloc_device *a = selection->candidates[i].device;
			const gpualloc_device *b = selection->candidates[j].device;
			bool first = is_required(selection, i), second = is_required(selection, j);

			if (!same_gpu_instance(a, b)) {
				j++;
				continue;
			}
			if (first && second)
				return ga_error_set(
					selecting->error, GPUALLOC_EIMPOSSIBLE,
					"two compute instances of one GPU instance are required, "
					"but no program can open both");
			(void)reject(
				selecting, second ? a : b, false,
				"another compute instance of its GPU instance is offered, and a "
				"program can open only one of them");
			remove_candidate(selection, second ? i : j);
			j = i + 1;
		}
	return 0;
}

static int check_mig_rule(struct selecting *selecting)
{
	enum { SEVERAL_SINCE = 570 };
	int major = driver_major(selecting->machine);

	if (!selecting->request->mig || selecting->selection->want < 2)
		return 0;
	if (major >= SEVERAL_SINCE)
		return keep_one_of_each_instance(selecting);
	return ga_error_set(
		selecting->error, GPUALLOC_EIMPOSSIBLE,
		"with driver %s a program can open only one MIG instance; several need driver %d "
		"or later",
		selecting->machine->driver ? selecting->machine->driver : "(not known)",
		SEVERAL_SINCE);
}

/* ---- the whole machine ---- */

static int gather(struct selecting *selecting)
{
	struct ga_selection *selection = selecting->selection;
	const gpualloc_machine *machine = selecting->machine;
	size_t most = machine->device_count;

	for (size_t i = 0; i < machine->device_count; i++)
		most += machine->devices[i].mig_count;
	selection->candidates = calloc(most + 1, sizeof *selection->candidates);
	selection->rejections = calloc(most + 1, sizeof *selection->rejections);
	if (!selection->candidates || !selection->rejections ||
	    !ga_device_set_init(&selection->idle, machine->device_count))
		return ga_error_memory(selecting->error);
	for (size_t i = 0; i < machine->device_count; i++) {
		if (!machine->devices[i].mig_enabled &&
		    ga_device_state(&machine->devices[i]) == GPUALLOC_STATE_FREE)
			ga_device_set_add(&selection->idle, i);
		consider_gpu(selecting, i);
	}
	ga_offer_in_order(selection->candidates, selection->candidate_count,
			  selecting->request->only ? &selecting->lists->only : NULL);
	return 0;
}

int ga_select(const gpualloc_machine *machine, const gpualloc_request *request,
	      struct ga_selection *ret_selection, gpualloc_error *error)
{
	auto_lists struct lists lists = {0};
	struct selecting selecting = {machine, request, &lists, ret_selection, error};
	int result = ga_request_check(request, error);

	*ret_selection = (struct ga_selection){.machine = machine};
	if (result == 0 && machine->device_count == 0)
		result = ga_error_set(error, GPUALLOC_ENOSOURCE, "this machine has no GPU");
	if (result == 0)
		result = parse_lists(machine, request, &lists, error);
	if (result == 0)
		result = ga_refuse_unknown_profile(machine, request, error);
	if (result == 0)
		result = gather(&selecting);
	if (result < 0)
		return result;
	ret_selection->want = request->count > 0        ? (size_t)request->count
			      : lists.require.count > 0 ? lists.require.count
							: 1;
	result = find_required(&selecting);
	if (result == 0 && ret_selection->required_count > ret_selection->want)
		result = ga_error_set(error, GPUALLOC_EUSAGE,
				      "%zu devices are required, but only %zu asked for",
				      ret_selection->required_count, ret_selection->want);
	if (result == 0)
		result = check_mig_rule(&selecting);
	if (result == 0 && ret_selection->candidate_count < ret_selection->want)
		result = ga_refuse_too_few(ret_selection, request, error);
	return result;
}
