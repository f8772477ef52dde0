/* SPDX-License-Identifier: Apache-2.0 */
/* Reading --gpualloc; see asked.h. */
#include "asked.h"

#include "owned.h"
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_MOST = 512 };

__attribute__((format(printf, 3, 4))) static int refuse(char *sentence, size_t size,
							const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(sentence, size, format, arguments);
	va_end(arguments);
	return GPUALLOC_EUSAGE;
}

/* ---- the words ---- */

static int read_count(const char *word, int64_t *ret_count, char *sentence, size_t size)
{
	if (!ga_text_number(word, strlen(word), ASKED_MOST, ret_count))
		return refuse(sentence, size,
			      "\"%s\" is not a number of devices; write N[:POLICY[:MEMORY]], for "
			      "example 2 or 1:best-fit:8GiB",
			      word);
	return 0;
}

static int read_policy(const char *word, struct asked *asked, char *sentence, size_t size)
{
	const char *name;
	char names[TEXT_MOST] = "";
	size_t used = 0;

	for (size_t i = 0; (name = gpualloc_policy_name(i)); i++) {
		if (strcmp(name, word) == 0) {
			(void)snprintf(asked->policy, sizeof asked->policy, "%s", name);
			return 0;
		}
		if (used < sizeof names)
			used += (size_t)snprintf(names + used, sizeof names - used, "%s%s",
						 i ? ", " : "", name);
	}
	return *word ? refuse(sentence, size, "there is no policy \"%s\"; use one of %s", word,
			      names)
		     : 0;
}

static int read_memory(const char *word, int64_t *ret_bytes, char *sentence, size_t size)
{
	auto_error gpualloc_error *error = gpualloc_error_new();

	if (gpualloc_size_parse(word, ret_bytes, error) == 0 && *ret_bytes > 0)
		return 0;
	return refuse(sentence, size,
		      "\"%s\" is not an amount of memory; write 8GiB, 800MB or "
		      "bytes",
		      word);
}

static int read_first(char *words, struct asked *asked, char *sentence, size_t size)
{
	char *count = strsep(&words, ":"), *policy = strsep(&words, ":"),
	     *memory = strsep(&words, ":");
	int result = read_count(count, &asked->count, sentence, size);

	if (result == 0 && words)
		result = refuse(sentence, size,
				"\":%s\" is one part too many; write "
				"N[:POLICY[:MEMORY]]",
				words);
	if (result == 0 && policy)
		result = read_policy(policy, asked, sentence, size);
	if (result == 0 && memory)
		result = read_memory(memory, &asked->memory, sentence, size);
	return result;
}

static int read_more(const char *word, struct asked *asked, char *sentence, size_t size)
{
	static const char mig[] = "mig=";

	if (strcmp(word, "share") == 0) {
		asked->share = true;
		return 0;
	}
	asked->mig = true;
	if (strcmp(word, "mig") == 0)
		return 0;
	if (strncmp(word, mig, sizeof mig - 1) == 0 && word[sizeof mig - 1] &&
	    strlen(word) - (sizeof mig - 1) < sizeof asked->profile) {
		(void)snprintf(asked->profile, sizeof asked->profile, "%s", word + sizeof mig - 1);
		return 0;
	}
	return refuse(sentence, size, "\"%s\" is not known; use share, mig or mig=PROFILE", word);
}

static bool looks_at_links(const char *policy)
{
	static const char *const others[] = {"",       "best-fit", "pack",     "random",
					     "simple", "spread",   "worst-fit"};

	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (strcmp(policy, others[i]) == 0)
			return false;
	return true;
}

static int check(const struct asked *asked, char *sentence, size_t size)
{
	if (asked->share && asked->memory < 0)
		return refuse(sentence, size, "a share needs an amount of memory: 1::8GiB,share");
	if ((asked->share || asked->mig) && looks_at_links(asked->policy))
		return refuse(sentence, size,
			      "policy %s looks at links, which %s do not have; use pack, spread, "
			      "best-fit, worst-fit, random or simple",
			      asked->policy, asked->mig ? "MIG instances" : "shares");
	return 0;
}

int asked_read(const char *text, struct asked *ret_asked, char *sentence, size_t size)
{
	struct asked asked = {.memory = -1};
	char copy[TEXT_MOST], *rest = copy, *word;
	int result;

	if (!text || strlen(text) >= sizeof copy)
		return refuse(sentence, size, "write N[:POLICY[:MEMORY]]");
	(void)snprintf(copy, sizeof copy, "%s", text);
	result = read_first(strsep(&rest, ","), &asked, sentence, size);
	while (result == 0 && (word = strsep(&rest, ",")))
		result = read_more(word, &asked, sentence, size);
	if (result == 0)
		result = check(&asked, sentence, size);
	if (result == 0)
		*ret_asked = asked;
	return result;
}

/* ---- the request ---- */

static int fill(const struct asked *asked, const gpualloc_policy *policy, gpualloc_request *request)
{
	gpualloc_request_set_count(request, asked->count);
	gpualloc_request_set_policy(request, policy);
	if (asked->memory >= 0)
		gpualloc_request_set_memory(request, asked->memory, asked->share);
	if (!asked->mig)
		return 0;
	return gpualloc_request_set_mig(request, *asked->profile ? asked->profile : NULL);
}

int asked_request(const struct asked *asked, gpualloc_request **ret_request,
		  gpualloc_policy **ret_policy, gpualloc_error *error)
{
	gpualloc_request *request = gpualloc_request_new();
	gpualloc_policy *policy = NULL;
	int result = request ? 0 : GPUALLOC_ENOMEM;

	if (result == 0 && *asked->policy)
		result = gpualloc_policy_open(asked->policy, &policy, error);
	if (result == 0)
		result = fill(asked, policy, request);
	if (result < 0) {
		gpualloc_policy_free(policy);
		gpualloc_request_free(request);
		return result;
	}
	*ret_request = request;
	*ret_policy = policy;
	return 0;
}
