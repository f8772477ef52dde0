/* SPDX-License-Identifier: Apache-2.0 */
/* The other end of an agent's session; see agent.h. */
#include "agent.h"

#include "device.h"
#include "message.h"
#include "text.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct {
	int tether;
	bool stays;
} agent = {.tether = -1};

bool agent_begin(char *const *words)
{
	int64_t fd;

	if (!ga_text_number(words[0], strlen(words[0]), INT_MAX, &fd) ||
	    (strcmp(words[1], AGENT_ENDS) != 0 && strcmp(words[1], AGENT_STAYS) != 0))
		return false;
	agent.stays = strcmp(words[1], AGENT_STAYS) == 0;
	agent.tether = (int)fd;
	return fcntl(agent.tether, F_SETFD, FD_CLOEXEC) == 0;
}

int agent_tether(void)
{
	return agent.tether;
}

void agent_tether_moved(int fd)
{
	agent.tether = fd;
}

int agent_tether_of_hold(void)
{
	return agent.stays ? -1 : agent.tether;
}

void agent_lease_json(struct ga_json *json, const gpualloc_lease *lease)
{
	char id[ID_SIZE];

	ga_json_text(json, "lease", gpualloc_lease_id(lease));
	ga_json_number(json, "pid", getpid());
	ga_json_open(json, "devices", '[');
	for (size_t i = 0; i < gpualloc_lease_device_count(lease); i++)
		ga_json_text(json, NULL, gpualloc_device_uuid(gpualloc_lease_device(lease, i)));
	ga_json_close(json, ']');
	ga_json_open(json, "ids", '[');
	for (size_t i = 0; i < gpualloc_lease_device_count(lease); i++)
		ga_json_text(json, NULL, device_id(gpualloc_lease_device(lease, i), id));
	ga_json_close(json, ']');
}

/* In one message. What the command says from now on is its own and may be any text, and so is what
 * is said about it. */
static void tell(const struct ga_buffer *text)
{
	if (!text->failed)
		(void)send(agent.tether, text->data, text->size, MSG_NOSIGNAL);
	message_in_json(NULL, NULL, -1);
}

void agent_tell_lease(const gpualloc_lease *lease)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	struct ga_json json = {.out = &text};

	if (agent.tether < 0)
		return;
	ga_json_open(&json, NULL, '{');
	agent_lease_json(&json, lease);
	ga_json_close(&json, '}');
	tell(&text);
}

void agent_tell_joined(const char *id)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	struct ga_json json = {.out = &text};

	if (agent.tether < 0)
		return;
	ga_json_open(&json, NULL, '{');
	ga_json_text(&json, "lease", id);
	ga_json_close(&json, '}');
	tell(&text);
}
