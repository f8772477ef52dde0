/* SPDX-License-Identifier: Apache-2.0 */
/* What people write behind --gpualloc and in plugstack.conf, and what is wrong with it. */
#include "asked.h"
#include "settings.h"
#include "test.h"

#include <stdio.h>

static char sentence[4096];

static struct asked asked(const char *text)
{
	struct asked asked = {.count = -1};

	test_about("%s", text);
	sentence[0] = '\0';
	CHECK_INT(asked_read(text, &asked, sentence, sizeof sentence), 0);
	CHECK_TEXT(sentence, "");
	return asked;
}

static void refused(const char *text, const char *part)
{
	struct asked asked = {.count = -1};

	test_about("%s", text);
	CHECK_INT(asked_read(text, &asked, sentence, sizeof sentence), GPUALLOC_EUSAGE);
	CHECK_HAS(sentence, part);
	CHECK_INT(asked.count, -1);
}

static void what_is_asked_for_is_read(void)
{
	struct asked got = asked("2");

	CHECK_INT(got.count, 2);
	CHECK_TEXT(got.policy, "");
	CHECK_INT(got.memory, -1);
	CHECK(!got.share && !got.mig);
	got = asked("4:bandwidth");
	CHECK_INT(got.count, 4);
	CHECK_TEXT(got.policy, "bandwidth");
	got = asked("1:best-fit:8GiB");
	CHECK_TEXT(got.policy, "best-fit");
	CHECK_INT(got.memory, (int64_t)8 << 30);
	got = asked("1::800MB,share");
	CHECK_TEXT(got.policy, "");
	CHECK_INT(got.memory, 800000000);
	CHECK(got.share);
	got = asked("3:pack,mig=1g.5gb");
	CHECK(got.mig);
	CHECK_TEXT(got.profile, "1g.5gb");
	CHECK_TEXT(asked("1,mig").profile, "");
	CHECK_INT(asked("0").count, 0);
	CHECK_INT(asked("4096").count, ASKED_MOST);
}

static void what_makes_no_sense_is_refused_in_a_sentence(void)
{
	refused("", "not a number of devices");
	refused("two", "\"two\" is not a number of devices");
	refused("-1", "not a number of devices");
	refused("2x", "not a number of devices");
	refused(" 2", "not a number of devices");
	refused("4097", "not a number of devices");
	refused("99999999999999999999999", "not a number of devices");
	refused("2:fastest", "no policy \"fastest\"; use one of balanced, bandwidth");
	refused("2::", "not an amount of memory");
	refused("2::lots", "\"lots\" is not an amount of memory");
	refused("2::0", "not an amount of memory");
	refused("2::1GiB:more", "\":more\" is one part too many");
	refused("2,shared", "\"shared\" is not known; use share, mig or mig=PROFILE");
	refused("2,", "not known");
	refused("2,mig=", "not known");
	refused("2,share", "a share needs an amount of memory");
	refused("2:bandwidth:1GiB,share", "policy bandwidth looks at links, which shares do not");
	refused("2:static-dgx2,mig", "policy static-dgx2 looks at links, which MIG instances do");
	refused(NULL, "N[:POLICY[:MEMORY]]");
}

static void a_request_is_made_of_it(void)
{
	static const char *const texts[] = {"2", "1:best-fit:8GiB", "1::1GiB,share",
					    "1,mig=1g.5gb"};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct asked got = asked(texts[i]);
		gpualloc_request *request = NULL;
		gpualloc_policy *policy = NULL;

		CHECK_INT(asked_request(&got, &request, &policy, NULL), 0);
		CHECK(request != NULL);
		gpualloc_request_free(request);
		gpualloc_policy_free(policy);
	}
}

static struct settings settings(const char *word)
{
	struct settings settings = {.mode = MODE_LEASE};
	char copy[256], *words[] = {copy};

	test_about("%s", word);
	CHECK(snprintf(copy, sizeof copy, "%s", word) < (int)sizeof copy);
	CHECK_INT(settings_read(1, words, &settings, sentence, sizeof sentence), 0);
	return settings;
}

static void unsettled(const char *word, const char *part)
{
	struct settings settings;
	char copy[256], *words[] = {copy};

	test_about("%s", word);
	CHECK(snprintf(copy, sizeof copy, "%s", word) < (int)sizeof copy);
	CHECK_INT(settings_read(1, words, &settings, sentence, sizeof sentence), GPUALLOC_EUSAGE);
	CHECK_HAS(sentence, part);
}

static void plugstack_is_read(void)
{
	struct settings plain;

	CHECK_INT(settings_read(0, NULL, &plain, sentence, sizeof sentence), 0);
	CHECK_INT(plain.mode, MODE_AUTO);
	CHECK_INT(plain.wait_ms, 600000);
	CHECK_TEXT(plain.store, NULL);
	CHECK_TEXT(plain.root, "");
	CHECK_INT(settings("mode=bind").mode, MODE_BIND);
	CHECK_INT(settings("mode=lease").mode, MODE_LEASE);
	CHECK_INT(settings("wait=0").wait_ms, 0);
	CHECK_INT(settings("wait=forever").wait_ms, -1);
	CHECK_INT(settings("wait=90s").wait_ms, 90000);
	CHECK_INT(settings("wait=2h").wait_ms, 7200000);
	CHECK_INT(settings("wait=365d").wait_ms, (int64_t)365 * 86400 * 1000);
}

static void a_mistake_in_plugstack_is_named(void)
{
	unsettled("mode=fast", "mode takes auto, bind or lease");
	unsettled("mode=", "mode takes auto, bind or lease");
	unsettled("wait=5", "wait takes 0, forever, or a time");
	unsettled("wait=s", "wait takes 0, forever, or a time");
	unsettled("wait=5mm", "wait takes 0, forever, or a time");
	unsettled("wait=53w", "wait takes 0, forever, or a time");
	unsettled("wait=99999999999999999999d", "wait takes 0, forever, or a time");
	unsettled("store=run/gpualloc", "store takes an absolute path");
	unsettled("machine=", "machine takes what gpualloc --machine takes");
	unsettled("stroe=/run", "\"stroe=/run\" is not known; use machine=");
	unsettled("wait", "\"wait\" is not known");
}

static const struct test_case cases[] = {
	{"what is asked for is read", what_is_asked_for_is_read},
	{"what makes no sense is refused in a sentence",
	 what_makes_no_sense_is_refused_in_a_sentence},
	{"a request is made of it", a_request_is_made_of_it},
	{"plugstack.conf is read", plugstack_is_read},
	{"a mistake in plugstack.conf is named", a_mistake_in_plugstack_is_named},
};
TEST_MAIN(cases)
