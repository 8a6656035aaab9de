/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What can be seen over the control socket. The ledger is what a worker says: it is
 * shown, and nothing is decided by it.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include <nexus/ion_abi.h>

#include "command.h"
#include "cspace.h"
#include "util.h"
#include "version.h"

static const char *phase_name(uint32_t phase)
{
	static const char *const names[] = {
		[LEDGER_STARTING] = "starting",
		[LEDGER_SERVING] = "serving",
		[LEDGER_FINISHING] = "finishing",
	};

	return phase < ARRAY_SIZE(names) ? names[phase] : "unknown";
}

static const char *state_name(uint32_t state)
{
	static const char *const names[] = {
		[ION_HOST_DOWN] = "down",
		[ION_HOST_READY] = "ready",
		[ION_HOST_LIVE] = "live",
		[ION_HOST_DRAINING] = "draining",
		[ION_HOST_LATCHED] = "latched",
		[ION_HOST_GONE] = "gone",
	};

	return state < ARRAY_SIZE(names) && names[state] ? names[state] :
							   "unknown";
}

/* A path may be any bytes; a text of JSON is UTF-8. */
static json_t *text_of(const char *bytes)
{
	json_t *text = bytes ? json_string(bytes) : json_null();
	char plain[4096];
	size_t i;

	if (text)
		return text;
	snprintf(plain, sizeof(plain), "%s", bytes);
	for (i = 0; plain[i]; i++)
		if ((unsigned char)plain[i] >= 0x80)
			plain[i] = '?';
	return json_string(plain);
}

static json_t *number_of(uint64_t n)
{
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

static void name_disk(json_t *object, unsigned int n)
{
	char name[16];

	snprintf(name, sizeof(name), "nxblk%u", n);
	json_object_set_new(object, "disk", json_integer(n));
	json_object_set_new(object, "name", json_string(name));
}

static unsigned int in_flight(const struct valve_account *account)
{
	unsigned int n = 0;
	unsigned int tag;

	for (tag = 0; tag < VALVE_MAX_DEPTH; tag++)
		n += __atomic_load_n(&account->pending[tag].since_ms,
				     __ATOMIC_RELAXED) != 0;
	return n;
}

static json_t *counters_of(const struct valve_stats *stats)
{
	json_t *object = json_object();

#define VIEW_COUNTER(name)                                                     \
	json_object_set_new(object, #name, number_of(stats->name));
	VALVE_COUNTERS(VIEW_COUNTER)
#undef VIEW_COUNTER
	return object;
}

static json_t *channel_of(const struct valve_account *account, unsigned int n)
{
	json_t *object = json_object();

	name_disk(object, n);
	json_object_set_new(object, "state",
			    json_string(state_name(account->state)));
	json_object_set_new(object, "generation", number_of(account->generation));
	json_object_set_new(object, "in_flight",
			    json_integer(in_flight(account)));
	json_object_set_new(object, "counters", counters_of(&account->stats));
	return object;
}

/**
 * view_status - how things stand
 * @cell: cell
 * @now: as the supervisor sees it
 *
 * Return: answer, the caller's.
 */
json_t *view_status(const struct control_cell *cell, const struct control_now *now)
{
	const struct ledger *l = cell->l;
	uint64_t serving = l->stamps.serving;
	uint64_t t = now_ns();
	json_t *channels = json_array();
	unsigned int i;

	for (i = 0; i < cell->o->disks; i++)
		json_array_append_new(channels, channel_of(&l->channel[i], i));
	return json_pack("{s:s, s:o, s:i, s:s, s:o, s:b, s:o, s:o}", "version",
			 RUMPK_VERSION, "worker",
			 now->worker > 0 ? json_integer(now->worker) :
					   json_null(),
			 "restarts", now->started ? (int)now->started - 1 : 0,
			 "phase", now->worker > 0 ? phase_name(l->phase) : "none",
			 "serving_ms",
			 number_of(serving && t > serving ?
					   (t - serving) / 1000000 :
					   0),
			 "guest", now->guest, "generation",
			 number_of(cell->record->generation), "channels",
			 channels);
}

static const char *backend_of(const struct disk_options *d)
{
	if (d->vhost)
		return "vhost";
	return d->path ? "file" : "mem";
}

static json_t *disk_of(const struct control_cell *cell, unsigned int n)
{
	const struct disk_options *d = &cell->o->disk[n];
	const struct valve_account *account = &cell->l->channel[n];
	json_t *object = json_object();

	name_disk(object, n);
	json_object_set_new(object, "backend", json_string(backend_of(d)));
	json_object_set_new(object, "path", text_of(d->path));
	json_object_set_new(object, "size",
			    number_of(account->capacity << NXBLK_SECTOR_SHIFT));
	json_object_set_new(object, "block", json_integer(d->block));
	json_object_set_new(object, "read_only", json_boolean(d->read_only));
	json_object_set_new(object, "strict", json_boolean(d->strict));
	json_object_set_new(object, "fence", json_boolean(d->fence));
	json_object_set_new(object, "lost", json_boolean(cell->l->disk[n].lost));
	json_object_set_new(object, "waiting",
			    json_boolean(account->state == ION_HOST_DOWN));
	json_object_set_new(object, "sync_failed",
			    json_boolean(safety_latched(cell->a, cell->l, n)));
	return object;
}

/**
 * view_disks - the disks, in order
 * @cell: cell
 *
 * Return: answer, the caller's.
 */
json_t *view_disks(const struct control_cell *cell)
{
	json_t *list = json_array();
	unsigned int i;

	for (i = 0; i < cell->o->disks; i++)
		json_array_append_new(list, disk_of(cell, i));
	return list;
}

static json_t *rights_of(uint32_t rights)
{
	static const char *const names[] = { "read", "write", "discard", "dma" };
	json_t *list = json_array();
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (rights & 1u << i)
			json_array_append_new(list, json_string(names[i]));
	return list;
}

/* A sector that no disk has is none. */
static json_t *last_of(const struct disk_options *d)
{
	return d->last > INT64_MAX ? json_null() : number_of(d->last);
}

static json_t *cap_of(const struct control_cell *cell, unsigned int n)
{
	struct disk_options d = { .last = UINT64_MAX };
	char text[PARSE_CAP_BYTES];
	json_t *object = json_object();

	safety_held(cell->a, n, &d);
	format_cap(&d, text, sizeof(text));
	name_disk(object, n);
	json_object_set_new(object, "slot", json_integer(n));
	json_object_set_new(object, "cap", json_string(text));
	json_object_set_new(object, "rights", rights_of(d.rights));
	json_object_set_new(object, "first", number_of(d.first));
	json_object_set_new(object, "last", last_of(&d));
	json_object_set_new(object, "epoch",
			    number_of(cspace_epoch(&cell->a->cspace, n)));
	return object;
}

/**
 * view_caps - the capabilities, by disk
 * @cell: cell
 *
 * Return: answer, the caller's.
 */
json_t *view_caps(const struct control_cell *cell)
{
	json_t *list = json_array();
	unsigned int i;

	for (i = 0; i < cell->o->disks; i++)
		json_array_append_new(list, cap_of(cell, i));
	return list;
}
