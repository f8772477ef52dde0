/* SPDX-License-Identifier: Apache-2.0 */
/* Requests on machines, through the public header: who is chosen, and who is refused and why. */
#include "test.h"

#include <gpualloc/gpualloc.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Four GPUs of two models; 1 is in use, 3 has a display. Then one in MIG mode, and a sick one. */
static const char mixed_machine[] =
	"{\"gpualloc_machine\":1,\"driver\":\"570.10\",\"devices\":["
	"{\"index\":0,\"uuid\":\"GPU-0\",\"name\":\"Big\",\"memory\":{\"total\":40000000000,"
	"\"reserved\":1000000000,\"used\":1000000000},\"processes\":[]},"
	"{\"index\":1,\"uuid\":\"GPU-1\",\"name\":\"Big\",\"memory\":{\"total\":40000000000,"
	"\"reserved\":1000000000,\"used\":9000000000},\"processes\":[{\"pid\":77,\"type\":\"C\","
	"\"memory\":8000000000,\"user\":\"eve\"}]},"
	"{\"index\":2,\"uuid\":\"GPU-2\",\"name\":\"Small\",\"display\":false,\"memory\":{"
	"\"total\":8000000000,\"used\":0},\"processes\":[]},"
	"{\"index\":3,\"uuid\":\"GPU-3\",\"name\":\"Small\",\"display\":true,\"memory\":{"
	"\"total\":8000000000,\"used\":0},\"processes\":[]},"
	"{\"index\":4,\"uuid\":\"GPU-4\",\"name\":\"Big\",\"mig\":["
	"{\"uuid\":\"MIG-a\",\"profile\":\"1g.5gb\",\"gi\":7,\"ci\":0,\"memory\":{"
	"\"total\":5000000000,\"used\":0},\"processes\":[]},"
	"{\"uuid\":\"MIG-b\",\"profile\":\"1c.2g.10gb\",\"gi\":3,\"ci\":0,\"processes\":[]},"
	"{\"uuid\":\"MIG-c\",\"profile\":\"1c.2g.10gb\",\"gi\":3,\"ci\":1,\"processes\":[]}]},"
	"{\"index\":5,\"uuid\":\"GPU-5\",\"name\":\"Big\",\"health\":\"lost\"}],\"pcie\":["
	"[\"X\",\"PIX\",\"SYS\",\"SYS\",\"SYS\",null],[\"PIX\",\"X\",\"SYS\",\"SYS\",\"SYS\",null],"
	"[\"SYS\",\"SYS\",\"X\",\"PIX\",\"SYS\",null],[\"SYS\",\"SYS\",\"PIX\",\"X\",\"SYS\",null],"
	"[\"SYS\",\"SYS\",\"SYS\",\"SYS\",\"X\",null],[null,null,null,null,null,\"X\"]]}";

struct wish {
	const char *policy;
	int64_t count;
	const char *memory;
	bool share;
	const char *mig; /* "" for any profile */
	const char *model;
	bool mixed;
	const char *only, *exclude, *require;
	bool ignore_processes;
	const char *visible;
};

static gpualloc_machine *open_text(const char *text)
{
	gpualloc_machine *machine = NULL;
	gpualloc_error *error = gpualloc_error_new();

	(void)gpualloc_machine_read(text, strlen(text), "test", &machine, error);
	CHECK_TEXT(gpualloc_error_message(error), "");
	gpualloc_error_free(error);
	return machine;
}

static gpualloc_request *request_of(const struct wish *wish, gpualloc_policy **ret_policy)
{
	gpualloc_request *request = gpualloc_request_new();
	int64_t bytes = 0;

	*ret_policy = NULL;
	if (wish->policy)
		CHECK_INT(gpualloc_policy_open(wish->policy, ret_policy, NULL), 0);
	gpualloc_request_set_policy(request, *ret_policy);
	gpualloc_request_set_count(request, wish->count);
	if (wish->memory) {
		CHECK_INT(gpualloc_size_parse(wish->memory, &bytes, NULL), 0);
		gpualloc_request_set_memory(request, bytes, wish->share);
	} else if (wish->share) {
		gpualloc_request_set_memory(request, -1, 1);
	}
	if (wish->mig)
		gpualloc_request_set_mig(request, *wish->mig ? wish->mig : NULL);
	gpualloc_request_set_model(request, wish->model);
	gpualloc_request_set_mixed(request, wish->mixed);
	gpualloc_request_set_only(request, wish->only);
	gpualloc_request_set_exclude(request, wish->exclude);
	gpualloc_request_set_require(request, wish->require);
	if (wish->ignore_processes)
		gpualloc_request_set_ignore_processes(request, -1);
	gpualloc_request_set_environment(request, wish->visible, "PCI_BUS_ID");
	return request;
}

/* The UUIDs chosen, or the message of the refusal; *ret_status tells which. */
static const char *answer(const gpualloc_machine *machine, const struct wish *wish, int *ret_status)
{
	static char text[5000];
	gpualloc_error *error = gpualloc_error_new();
	gpualloc_policy *policy;
	gpualloc_request *request = request_of(wish, &policy);
	gpualloc_choice *choice = NULL;

	text[0] = '\0';
	*ret_status = gpualloc_choose(machine, request, &choice, error);
	if (*ret_status < 0)
		(void)snprintf(text, sizeof text, "%s", gpualloc_error_message(error));
	for (size_t i = 0; choice && i < gpualloc_choice_device_count(choice); i++) {
		strcat(text, i ? " " : "");
		strcat(text, gpualloc_device_uuid(gpualloc_choice_device(choice, i)));
	}
	gpualloc_choice_free(choice);
	gpualloc_request_free(request);
	gpualloc_policy_free(policy);
	gpualloc_error_free(error);
	return text;
}

static const struct {
	const char *about;
	struct wish wish;
	int status;
	const char *answer;
} wishes[] = {
	{"one, by default: the pair stays whole", {0}, 0, "GPU-0"},
	{"the display comes last",
	 {.model = "small", .count = 2, .policy = "simple"},
	 0,
	 "GPU-2 GPU-3"},
	{"two of one model", {.count = 2}, 0, "GPU-2 GPU-3"},
	{"a model by a part of its name", {.model = "big"}, 0, "GPU-0"},
	{"two models only when mixed",
	 {.count = 3},
	 GPUALLOC_EIMPOSSIBLE,
	 "there are only 2 of one model"},
	{"the required are of two models",
	 {.require = "0,2"},
	 GPUALLOC_EUSAGE,
	 "the required devices are not all of the same model"},
	{"three, mixed", {.count = 3, .mixed = true, .policy = "simple"}, 0, "GPU-2 GPU-0 GPU-3"},
	{"--only gives the order",
	 {.only = "3,0,2", .count = 3, .mixed = true, .policy = "simple"},
	 0,
	 "GPU-3 GPU-0 GPU-2"},
	{"busy now", {.model = "big", .count = 2}, GPUALLOC_EBUSY, "in use: process 77 of eve"},
	{"processes ignored",
	 {.model = "big", .count = 2, .ignore_processes = true},
	 0,
	 "GPU-0 GPU-1"},
	{"never on this machine", {.count = 10}, GPUALLOC_EIMPOSSIBLE, "10 GPUs asked for"},
	{"a sick one is never chosen", {.only = "5"}, GPUALLOC_EIMPOSSIBLE, "unhealthy"},
	{"less than nothing", {.count = -1}, GPUALLOC_EUSAGE, "-1 devices"},
	{"enough memory free", {.memory = "20GB"}, 0, "GPU-0"},
	{"free is less than total",
	 {.memory = "38000000001", .model = "big"},
	 GPUALLOC_EBUSY,
	 "has 38000000000 bytes free, but 38000000001 are asked for"},
	{"free is less than total, exactly", {.memory = "38000000000", .only = "0"}, 0, "GPU-0"},
	{"too small for ever", {.memory = "50GB"}, GPUALLOC_EIMPOSSIBLE, "too small"},
	{"best fit", {.policy = "best-fit", .memory = "1GB"}, 0, "GPU-2"},
	{"worst fit", {.policy = "worst-fit", .memory = "1GB"}, 0, "GPU-0"},
	{"best fit regards a busy GPU's room",
	 {.policy = "best-fit", .memory = "20GB"},
	 0,
	 "GPU-1"},
	{"required", {.require = "3"}, 0, "GPU-3"},
	{"required sets the count", {.require = "2,3"}, 0, "GPU-2 GPU-3"},
	{"required but excluded",
	 {.require = "3", .exclude = "2-3"},
	 GPUALLOC_EUSAGE,
	 "device 3 is required, but excluded by the request"},
	{"required but in use", {.require = "1"}, GPUALLOC_EBUSY, "process 77"},
	{"required but lost", {.require = "5"}, GPUALLOC_EIMPOSSIBLE, "device 5 is required"},
	{"more required than asked",
	 {.require = "2,3", .count = 1},
	 GPUALLOC_EUSAGE,
	 "2 devices are required, but only 1"},
	{"no such device", {.only = "7"}, GPUALLOC_EUSAGE, "--only: there is no device \"7\""},
	{"the environment restricts", {.visible = "GPU-3"}, 0, "GPU-3"},
	{"the environment's numbers are not certain",
	 {.visible = "3"},
	 GPUALLOC_EUSAGE,
	 "CUDA_VISIBLE_DEVICES has indices"},
	{"an empty environment", {.visible = ""}, GPUALLOC_EIMPOSSIBLE, "CUDA_VISIBLE_DEVICES"},
	{"an instance", {.mig = ""}, 0, "MIG-a"},
	{"an instance of a profile", {.mig = "1c.2g.10gb"}, 0, "MIG-b"},
	{"an unknown profile",
	 {.mig = "7g.40gb"},
	 GPUALLOC_EUSAGE,
	 "this machine has 1g.5gb, 1c.2g.10gb"},
	{"several instances, one of each GPU instance", {.mig = "", .count = 2}, 0, "MIG-a MIG-b"},
	{"never two on the same GPU instance",
	 {.mig = "", .count = 3},
	 GPUALLOC_EIMPOSSIBLE,
	 "a program can open only one"},
	{"two required of one GPU instance",
	 {.mig = "", .require = "MIG-b,MIG-c"},
	 GPUALLOC_EIMPOSSIBLE,
	 "no program can open both"},
	{"an instance without --mig",
	 {.require = "MIG-a"},
	 GPUALLOC_EUSAGE,
	 "it is a MIG instance"},
	{"a GPU in MIG mode", {.only = "4"}, GPUALLOC_EIMPOSSIBLE, "in MIG mode"},
	{"instances by their links",
	 {.mig = "", .policy = "bandwidth"},
	 GPUALLOC_EUSAGE,
	 "use pack"},
	{"shares by their links",
	 {.share = true, .memory = "1GB", .policy = "best-effort"},
	 GPUALLOC_EUSAGE,
	 "shares do not have"},
	{"a share of nothing",
	 {.share = true},
	 GPUALLOC_EUSAGE,
	 "a share needs an amount of memory"},
	{"a share beside a process", {.share = true, .memory = "1GB", .only = "1"}, 0, "GPU-1"},
};

static void wishes_are_met_or_refused(void)
{
	gpualloc_machine *machine = open_text(mixed_machine);

	for (size_t i = 0; i < sizeof wishes / sizeof *wishes; i++) {
		int status;
		const char *text = answer(machine, &wishes[i].wish, &status);

		test_about("%s (%s)", wishes[i].about, text);
		CHECK_INT(status, wishes[i].status);
		if (status == 0)
			CHECK_TEXT(text, wishes[i].answer);
		else
			CHECK_HAS(text, wishes[i].answer);
	}
	gpualloc_machine_free(machine);
}

static void several_instances_need_a_new_driver(void)
{
	char *old = strdup(mixed_machine);
	gpualloc_machine *machine;
	int status;

	memcpy(strstr(old, "570.10"), "565.10", 6);
	machine = open_text(old);
	CHECK_HAS(answer(machine, &(struct wish){.mig = "", .count = 2}, &status),
		  "with driver 565.10 a program can open only one MIG instance");
	CHECK_INT(status, GPUALLOC_EIMPOSSIBLE);
	gpualloc_machine_free(machine);
	free(old);
}

static void no_gpu_at_all_is_another_error(void)
{
	gpualloc_machine *machine =
		open_text("{\"gpualloc_machine\":1,\"devices\":[],\"pcie\":[]}");
	int status;

	CHECK_HAS(answer(machine, &(struct wish){0}, &status), "no GPU");
	CHECK_INT(status, GPUALLOC_ENOSOURCE);
	gpualloc_machine_free(machine);
}

/* ---- the caller's own policy ---- */

static int answers[8];
static int answer_count;

static int own(void *context, const gpualloc_question *question, size_t *ret_chosen)
{
	size_t offered = gpualloc_question_candidate_count(question);

	CHECK(context == answers);
	CHECK(gpualloc_question_machine(question) != NULL);
	CHECK_INT(offered, 4);
	CHECK_INT(gpualloc_question_count(question), 2);
	CHECK_INT(gpualloc_question_seed(question), 7);
	CHECK_INT(gpualloc_question_required_count(question), 1);
	CHECK_INT(gpualloc_question_required(question, 0), 1);
	CHECK_INT(gpualloc_question_required(question, 1), -1);
	CHECK_INT(gpualloc_device_index(gpualloc_question_candidate(question, 3)), 3);
	CHECK_INT(gpualloc_question_candidate_number(question, 3), 3);
	CHECK(gpualloc_question_candidate_memory(question, 3) > 0);
	CHECK(gpualloc_question_candidate(question, 4) == NULL);
	for (int i = 0; i < answer_count && i < (int)offered; i++)
		ret_chosen[i] = (size_t)answers[i];
	return answer_count;
}

static const struct {
	int count, answers[3];
	const char *message; /* NULL where it is right */
} own_answers[] = {
	{2, {1, 0}, NULL},
	{1, {1}, "chose 1 devices, but 2 were asked for"},
	{3, {1, 0, 2}, "chose 3 devices"},
	{2, {1, 1}, "twice"},
	{2, {1, 9}, "was not offered"},
	{2, {0, 2}, "left out the required device 1"},
	{-6, {0}, "failed with status -6"},
};

static void a_policy_of_ones_own_is_checked(void)
{
	gpualloc_machine *machine = NULL;
	gpualloc_policy *policy = NULL;
	gpualloc_question *question = NULL;
	const size_t available[] = {0, 1, 2, 3}, required[] = {1}, outside[] = {7};

	CHECK_INT(gpualloc_machine_open("dgx1-volta", 0, &machine, NULL), 0);
	CHECK_INT(gpualloc_question_new(machine, &question, NULL), 0);
	CHECK_INT(gpualloc_question_set_candidates(question, available, 4, NULL), 0);
	CHECK_INT(gpualloc_question_set_required(question, outside, 1, NULL), GPUALLOC_EUSAGE);
	CHECK_INT(gpualloc_question_set_required(question, required, 1, NULL), 0);
	gpualloc_question_set_count(question, 2);
	gpualloc_question_set_seed(question, 7);
	CHECK_INT(gpualloc_policy_new("mine", own, answers, &policy, NULL), 0);
	for (size_t i = 0; i < sizeof own_answers / sizeof *own_answers; i++) {
		gpualloc_error *error = gpualloc_error_new();
		gpualloc_choice *choice = NULL;
		int result;

		memcpy(answers, own_answers[i].answers, sizeof own_answers[i].answers);
		answer_count = own_answers[i].count;
		result = gpualloc_choose_among(question, policy, &choice, error);
		test_about("answer %zu", i);
		CHECK_INT(result == 0, own_answers[i].message == NULL);
		if (own_answers[i].message)
			CHECK_HAS(gpualloc_error_message(error), own_answers[i].message);
		gpualloc_choice_free(choice);
		gpualloc_error_free(error);
	}
	gpualloc_question_free(question);
	gpualloc_policy_free(policy);
	gpualloc_machine_free(machine);
}

/* ---- explaining, naming, scoring ---- */

static void a_choice_explains_itself(void)
{
	gpualloc_machine *machine = open_text(mixed_machine);
	gpualloc_request *request = gpualloc_request_new();
	gpualloc_choice *choice = NULL;
	const gpualloc_alternative *other;

	gpualloc_request_set_alternatives(request, 1);
	gpualloc_request_set_mixed(request, 1);
	gpualloc_request_set_count(request, 2);
	CHECK_INT(gpualloc_choose(machine, request, &choice, NULL), 0);
	CHECK_TEXT(gpualloc_choice_policy(choice), "balanced");
	CHECK_INT(gpualloc_choice_score(choice), 50);
	CHECK(gpualloc_choice_bandwidth(choice) > 0);
	CHECK_INT(gpualloc_choice_rejection_count(choice), 4);
	for (size_t i = 0; i < 4; i++) {
		const gpualloc_rejection *rejection = gpualloc_choice_rejection(choice, i);

		CHECK(gpualloc_rejection_device(rejection) != NULL);
		CHECK(*gpualloc_rejection_reason(rejection) != '\0');
	}
	CHECK(gpualloc_choice_rejection(choice, 4) == NULL);
	CHECK_INT(gpualloc_choice_alternative_count(choice), 2);
	other = gpualloc_choice_alternative(choice, 0);
	CHECK_INT(gpualloc_alternative_device_count(other), 2);
	CHECK(gpualloc_alternative_device(other, 1) != NULL);
	CHECK(gpualloc_alternative_device(other, 2) == NULL);
	CHECK_INT(gpualloc_alternative_score(other), 10);
	CHECK(gpualloc_alternative_bandwidth(other) <= gpualloc_choice_bandwidth(choice));
	CHECK(gpualloc_choice_alternative(choice, 2) == NULL);
	gpualloc_choice_free(choice);
	gpualloc_request_free(request);
	gpualloc_machine_free(machine);
}

static void frameworks_count_what_they_see(void)
{
	gpualloc_machine *machine = NULL;
	gpualloc_error *error = gpualloc_error_new();
	char *name = NULL;

	CHECK_INT(gpualloc_machine_open("dgx1-volta", 0, &machine, NULL), 0);
	CHECK_INT(gpualloc_device_framework_name(machine, gpualloc_machine_device(machine, 5), NULL,
						 NULL, &name, NULL),
		  0);
	CHECK_TEXT(name, "cuda:5");
	free(name);
	CHECK_INT(gpualloc_device_framework_name(machine, gpualloc_machine_device(machine, 5),
						 "7,5,3", "PCI_BUS_ID", &name, NULL),
		  0);
	CHECK_TEXT(name, "cuda:1");
	free(name);
	CHECK_INT(gpualloc_device_framework_name(machine, gpualloc_machine_device(machine, 0),
						 "7,5,3", NULL, &name, error),
		  GPUALLOC_EIMPOSSIBLE);
	CHECK_HAS(gpualloc_error_message(error), "device 0 is not visible");
	gpualloc_error_free(error);
	gpualloc_machine_free(machine);
}

static void sets_are_scored(void)
{
	gpualloc_machine *machine = NULL;
	const size_t pair[] = {0, 3}, wrong[] = {0, 8};
	int64_t score, bandwidth;

	CHECK_INT(gpualloc_machine_open("dgx1-volta", 0, &machine, NULL), 0);
	CHECK_INT(gpualloc_machine_score(machine, pair, 2, &score, &bandwidth, NULL), 0);
	CHECK_INT(score, 230);
	CHECK_INT(bandwidth, 40000);
	CHECK_INT(gpualloc_machine_score(machine, wrong, 2, &score, &bandwidth, NULL),
		  GPUALLOC_EUSAGE);
	gpualloc_machine_free(machine);
}

static void whether_there_are_gpus_is_one_call(void)
{
	gpualloc_error *error = gpualloc_error_new();

	CHECK_INT(gpualloc_available("dgx1-volta", 0, error), 1);
	CHECK_INT(gpualloc_available("a100-mig", 0, error), 1);
	CHECK_TEXT(gpualloc_error_message(error), "");
	CHECK_INT(gpualloc_available(test_path("machines/files/empty.json"), 0, error), 0);
	CHECK_TEXT(gpualloc_error_message(error), "");
	CHECK_INT(setenv("GPUALLOC_NVML", "/nonexistent", 1), 0);
	CHECK_INT(gpualloc_available("nvml", 0, error), 0);
	CHECK_HAS(gpualloc_error_message(error), "/nonexistent");
	CHECK_INT(gpualloc_available("no-such-machine", 0, error), GPUALLOC_EUSAGE);
	CHECK_INT(gpualloc_available("/dev/null", 0, NULL), GPUALLOC_EDATA);
	gpualloc_error_free(error);
}

static void ids_of_several_are_short(void)
{
	static const struct {
		size_t devices[4], count;
		const char *ids;
	} lists[] = {
		{{0}, 0, ""},
		{{3}, 1, "3"},
		{{0, 1}, 2, "0,1"},
		{{0, 1, 2}, 3, "0-2"},
		{{5, 1, 2, 3}, 4, "5,1-3"},
		{{2, 1, 0}, 3, "2,1,0"},
	};
	gpualloc_machine *machine = NULL;
	char text[32];

	CHECK_INT(gpualloc_machine_open("dgx1-volta", 0, &machine, NULL), 0);
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
		const gpualloc_device *devices[4];

		for (size_t d = 0; d < lists[i].count; d++)
			devices[d] = gpualloc_machine_device(machine, lists[i].devices[d]);
		CHECK_INT(gpualloc_device_ids(devices, lists[i].count, text, sizeof text),
			  strlen(lists[i].ids));
		CHECK_TEXT(text, lists[i].ids);
		CHECK_INT(gpualloc_device_ids(devices, lists[i].count, NULL, 0),
			  strlen(lists[i].ids));
		if (lists[i].count > 0) {
			CHECK(gpualloc_device_ids(devices, lists[i].count, text, 2) > 0);
			CHECK_INT(strlen(text), 1);
		}
	}
	gpualloc_machine_free(machine);
}

/* On a DGX-1V 0-3, 3-2, 2-1 and 1-0 have 2, 2, 2 and 1 links: no ring of these four has more. */
static void devices_are_put_in_order(void)
{
	gpualloc_machine *machine = NULL;
	const gpualloc_device *devices[4];
	int sum = 0;

	CHECK_INT(gpualloc_machine_open("dgx1-volta", 0, &machine, NULL), 0);
	for (size_t i = 0; i < 4; i++)
		devices[i] = gpualloc_machine_device(machine, i);
	CHECK_INT(gpualloc_devices_order(machine, devices, 4, NULL), 0);
	for (size_t i = 0; i < 4; i++)
		sum += gpualloc_machine_link_count(
			machine, (size_t)gpualloc_device_index(devices[i]),
			(size_t)gpualloc_device_index(devices[(i + 1) % 4]));
	CHECK_INT(sum, 7);
	CHECK_INT(gpualloc_devices_order(machine, devices, 0, NULL), 0);
	gpualloc_machine_free(machine);
}

static const struct test_case cases[] = {
	{"wishes are met or refused", wishes_are_met_or_refused},
	{"several instances need a new driver", several_instances_need_a_new_driver},
	{"no GPU at all is another error", no_gpu_at_all_is_another_error},
	{"the caller's own policy is checked", a_policy_of_ones_own_is_checked},
	{"a choice explains itself", a_choice_explains_itself},
	{"frameworks count what they see", frameworks_count_what_they_see},
	{"sets are scored", sets_are_scored},
	{"whether there are GPUs is one call", whether_there_are_gpus_is_one_call},
	{"ids of several are short", ids_of_several_are_short},
	{"devices are put in order", devices_are_put_in_order},
};

TEST_MAIN(cases)
