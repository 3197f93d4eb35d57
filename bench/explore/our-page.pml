/* src/explore/protocols/ours/revocable-page.ts as it is; with -DACTIVE_NOT_TESTED its variant of that name. */
#define ABSENT 0
#define BUSY 15

byte entry = 1, npt = 1, generation;
byte active_, sequence, slot;
bool mutationLock, mmuLock;
bool alive[16] = { false, true, true };
bool bytes[3];

active proctype user() {
  byte frame, before, seen, found, gen, now; bool isMapped = false;
  do
  :: isMapped ->
     slot++;
     now = sequence;
     if
     :: now == before -> d_step { assert(alive[frame]) }; bytes[frame] = true; slot++; break
     :: else -> slot++; isMapped = false
     fi
  :: else ->
     gen = generation;
     seen = sequence;
     now = npt;
     if
     :: now != 0
     :: else ->
        do
        :: atomic { !mmuLock; mmuLock = true };
           found = entry;
           if :: found != BUSY -> npt = found :: else fi;
           mmuLock = false;
           if :: found != BUSY -> break :: else fi;
           entry != BUSY
        od
     fi;
     found = entry;
     if
     :: found == BUSY -> entry != BUSY
     :: else ->
#ifndef ACTIVE_NOT_TESTED
        now = active_;
        if
        :: now != 0 -> active_ == 0
        :: else ->
#endif
           now = sequence;
           if :: now == seen -> d_step { before = seen; frame = found; isMapped = true } :: else fi
#ifndef ACTIVE_NOT_TESTED
        fi
#endif
     fi
  od
}

active proctype change() {
  byte old, epoch; bool copied;
  atomic { !mutationLock; mutationLock = true };
  active_++;
  sequence++;
  epoch = slot;
  if :: epoch % 2 == 1 -> slot != epoch :: else fi;
  atomic { !mmuLock; mmuLock = true };
  old = entry;
  entry = BUSY;
  npt = 0;
  mmuLock = false;
  copied = bytes[1];
  bytes[2] = copied;
  atomic { !mmuLock; mmuLock = true };
  entry = 2;
  npt = 2;
  mmuLock = false;
  sequence++;
  active_--;
  d_step { assert(alive[old]); alive[old] = false };
  mutationLock = false
}
