/** Every scenario of this folder, in the order in which docs/protocols.md shows them. */
import { CLOCK_BUGS } from "./bugs/clocks.js";
import { FREED_OBJECTS } from "./bugs/freed-objects.js";
import { LOCK_ORDERS } from "./bugs/lock-orders.js";
import { MEMSLOT_BUGS } from "./bugs/memslots.js";
import { SHARED_INFO_BUGS } from "./bugs/shared-info.js";
import { DEFERRED_SHADOW } from "./deferred-shadow.js";
import { END_HOOK } from "./end-hook.js";
import { FIRST_GPC } from "./first-gpc.js";
import { INTERVAL_RETRY } from "./interval-retry.js";
import { IPI_GRACE } from "./ipi-grace.js";
import { KICK } from "./kick.js";
import { MAIL_FIXED } from "./mail-fixed.js";
import { MAIL } from "./mail.js";
import { MAP_EACH_TIME } from "./map-each-time.js";
import { OUR_DESTRUCTION } from "./ours/destruction.js";
import { OUR_EVENTS } from "./ours/event-delivery.js";
import { OUR_GATE } from "./ours/gate.js";
import { OUR_MEMSLOTS } from "./ours/memslots.js";
import { OUR_RELOAD } from "./ours/reload.js";
import { OUR_PAGE } from "./ours/revocable-page.js";
import { OUR_RUNSTATE } from "./ours/runstate.js";
import { OUR_SHARING } from "./ours/sharing.js";
import { OUR_SWAP_IN } from "./ours/swap-in.js";
import { OUR_VCPU_FLUSH } from "./ours/vcpu-flush.js";
import { PFNCACHE_LIFE } from "./pfncache-life.js";
import { PFNCACHE } from "./pfncache.js";
import { PIN_FOREVER } from "./pin-forever.js";
import { RANGE_TRACKED } from "./range-tracked.js";
import { SENTINEL } from "./sentinel.js";
import type { ProtocolScenario } from "./steps.js";
import { USER_HVA } from "./user-hva.js";

/** The ways to protect a guest page that have been tried, (a) to (m). */
export const PROTOCOLS: readonly ProtocolScenario[] = [
  PIN_FOREVER, MAP_EACH_TIME, KICK, MAIL, MAIL_FIXED, FIRST_GPC, PFNCACHE, PFNCACHE_LIFE, IPI_GRACE, INTERVAL_RETRY, USER_HVA, DEFERRED_SHADOW,
  SENTINEL, END_HOOK, RANGE_TRACKED,
];

/** Historic bugs that are no fault of one of the protocols. */
export const BUG_SCENARIOS: readonly ProtocolScenario[] = [LOCK_ORDERS, MEMSLOT_BUGS, SHARED_INFO_BUGS, CLOCK_BUGS, FREED_OBJECTS];

/** The shipped protocol in the explorer's terms. */
export const OUR_SCENARIOS: readonly ProtocolScenario[] = [
  OUR_PAGE, OUR_VCPU_FLUSH, OUR_GATE, OUR_RELOAD, OUR_MEMSLOTS, OUR_SWAP_IN, OUR_SHARING, OUR_EVENTS, OUR_RUNSTATE, OUR_DESTRUCTION,
];

/** All of them. */
export const ALL_SCENARIOS: readonly ProtocolScenario[] = [...PROTOCOLS, ...BUG_SCENARIOS, ...OUR_SCENARIOS];
