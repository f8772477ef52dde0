/* SPDX-License-Identifier: Apache-2.0 */
/* The order in which candidates are offered: a policy that sees no difference takes the first. */
#ifndef GA_CHOOSE_OFFER_H
#define GA_CHOOSE_OFFER_H

#include "device_id.h"
#include "request.h"

/*
 * As the request's list names them. Without a list (NULL): those with a display last, then by size,
 * then by place and index.
 */
void ga_offer_in_order(struct ga_candidate *candidates, size_t count,
		       const struct ga_device_list *only);

#endif
