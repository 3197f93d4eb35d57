/*
 * src/explore/protocols/pfncache.ts as it is; with -DHVA_OUTSIDE_MEMSLOTS its variant "hva outside memslots" (B37),
 * with -DTWO_REFRESHERS "two refreshers".
 */
#include "page.pml"

bool valid;
byte khva = 1;
byte readers;
bool writer, mutex;
byte count, inProgress, seq;
bool changed;

#ifdef HVA_OUTSIDE_MEMSLOTS
#define IN_SLOT false
#else
#define IN_SLOT true
#endif

#define writeLock() atomic { !writer && readers == 0; writer = true }
#define writeUnlock() writer = false
#define readLock() atomic { !writer; readers++ }
#define readUnlock() readers--

inline refresh() {
  atomic { !mutex; mutex = true };
  writeLock();
  isDone = valid;
  if :: !isDone -> valid = false :: else fi;
  writeUnlock();
  rounds = 1;
  do
  :: !isDone && rounds <= 3 ->
     before = seq;
     lookUp(frame);
     writeLock();
     active_ = count;
     if
     :: active_ != 0 -> isStale = true
     :: else -> now = seq; isStale = (now != before)
     fi;
     if :: !isStale -> khva = frame; valid = true :: else fi;
     writeUnlock();
     put(frame, isLast);
     if :: !isStale -> break :: else fi;
     count == 0;
     rounds++
  :: else -> break
  od;
  mutex = false
}

active proctype user() {
  byte frame, before, active_, now, tries = 0, rounds; bool isValid, isDone, isStale, isLast, began;
  do
  :: tries <= 3 ->
     began = changed;
     readLock();
     isValid = valid;
     if
     :: isValid -> frame = khva; setEvent(frame); assert(!began || frame == 2)
     :: else
     fi;
     readUnlock();
     if :: isValid -> break :: else fi;
     refresh();
     tries++
  :: else -> break
  od
}

#ifdef TWO_REFRESHERS
active proctype refresher() {
  byte frame, before, active_, now, rounds; bool isDone, isStale, isLast;
  refresh()
}
#endif

active proctype host() {
  byte old; bool isLast, isValid;
  count++;
  readLock();
  isValid = valid;
  readUnlock();
  if
  :: isValid -> writeLock(); isValid = valid; if :: isValid -> valid = false :: else fi; writeUnlock()
  :: else
  fi;
  if :: IN_SLOT -> inProgress++ :: else fi;
  remap(old, isLast);
  if :: IN_SLOT -> seq++; inProgress-- :: else fi;
  count--;
  changed = true
}
