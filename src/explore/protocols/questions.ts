/** The questions of the mail of December 2020, answered by a scenario each. */
import { DEFERRED_SHADOW } from "./deferred-shadow.js";
import { IPI_GRACE } from "./ipi-grace.js";
import { KICK } from "./kick.js";
import { MAIL_FIXED } from "./mail-fixed.js";
import { MAIL } from "./mail.js";
import { OUR_MEMSLOTS } from "./ours/memslots.js";
import { OUR_PAGE } from "./ours/revocable-page.js";
import { END_HOOK } from "./end-hook.js";
import { MAP_EACH_TIME } from "./map-each-time.js";
import { PFNCACHE } from "./pfncache.js";
import type { Place } from "./table.js";
import { USER_HVA } from "./user-hva.js";

/** A question, its answer, and the scenarios that say so. */
export interface Question {
  readonly id: string;
  readonly asks: string;
  readonly answer: string;
  readonly shown: readonly Place[];
}

/** Q1 to Q13. */
export const QUESTIONS: readonly Question[] = [
  { id: "Q1", asks: "Are all vCPUs out of guest mode when the notifier returns?", answer: "With a request that waits, each has left once. Without the wait, no.", shown: [{ scenario: KICK }, { scenario: KICK, variant: "no wait" }] },
  { id: "Q2", asks: "May a vCPU enter again with the old page?", answer: "Yes, if its reload does not honour the invalidation in progress.", shown: [{ scenario: KICK, variant: "no retry" }] },
  { id: "Q3", asks: "In what order do table, notifier, TLB flush and free come?", answer: "Start, entry, flush, free, end. The end is too late to retract anything.", shown: [{ scenario: END_HOOK }] },
  { id: "Q4", asks: "Which callback may sleep, or wait for readers?", answer: "Start, and only if it is blockable; what is unmapped later harms nobody.", shown: [{ scenario: MAIL, variant: "non-blockable" }, { scenario: MAIL, variant: "synchronize in end" }] },
  { id: "Q5", asks: "Why was SRCU not used?", answer: "Start may not always sleep. A domain of short sections can be spun for, as a lock is.", shown: [{ scenario: MAIL_FIXED, variant: "non-blockable" }] },
  { id: "Q6", asks: "Does synchronize_srcu(&kvm->srcu) deadlock in the notifier?", answer: "Yes, in two ways.", shown: [{ scenario: MAIL, variant: "on kvm->srcu, reader faults" }, { scenario: MAIL, variant: "on kvm->srcu, memslot update" }] },
  { id: "Q7", asks: "Does a kick do for accesses outside guest mode?", answer: "No.", shown: [{ scenario: KICK, variant: "host access" }] },
  { id: "Q8", asks: "How is the page faulted back in?", answer: "By a refresh that may sleep and checks count and sequence; a naive one publishes the old frame.", shown: [{ scenario: MAIL, variant: "naive refresher" }, { scenario: PFNCACHE }] },
  { id: "Q9", asks: "Does existing code pin already?", answer: "Steal time did, by its cache; the offline of its memory failed for as long.", shown: [{ scenario: MAP_EACH_TIME, variant: "cached, offline" }] },
  { id: "Q10", asks: "Non-blockable, and an IPI to wait for?", answer: "It may spin for what ends by itself, and for nothing else.", shown: [{ scenario: OUR_PAGE, variant: "non-blockable discard" }, { scenario: OUR_PAGE, variant: "non-blockable sleeps for readers" }] },
  { id: "Q11", asks: "What becomes of a writer that is in the page when start comes?", answer: "It is waited for; so it may not sleep in there.", shown: [{ scenario: OUR_PAGE, variant: "readers not waited for" }, { scenario: IPI_GRACE, variant: "walker sleeps" }] },
  { id: "Q12", asks: "Is the memslots' generation enough when a slot goes?", answer: "With a second look behind the look-up, yes.", shown: [{ scenario: OUR_MEMSLOTS }, { scenario: OUR_MEMSLOTS, variant: "generation not compared" }] },
  { id: "Q13", asks: "How do guest's and hypervisor's writes both survive?", answer: "By one atomic instruction on the page itself, or by a note that the vCPU moves over.", shown: [{ scenario: USER_HVA, variant: "copied in and out" }, { scenario: DEFERRED_SHADOW }] },
];
