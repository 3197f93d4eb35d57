/*
 * One host page, as src/explore/protocols/host-page.ts has it: an entry and references that change in one step, two frames, their bytes.
 * Frame 0 is none. Each statement, atomic or d_step is one step of the model in TypeScript.
 */
byte pte = 1;
byte refs[3] = { 0, 1, 0 };
bool alive[3] = { false, true, true };
bool bytes[3];

/* Sleeps while there is no entry; the frame and a reference to it in one step. */
inline lookUp(frame) { atomic { pte != 0; frame = pte; refs[frame]++ } }

inline put(frame, isLast) {
  d_step { refs[frame]--; isLast = (refs[frame] == 0) };
  if
  :: isLast -> d_step { assert(alive[frame]); alive[frame] = false }
  :: else
  fi
}

/* The end a use of a frame has: the event's bit in its bytes. */
inline setEvent(frame) { d_step { assert(alive[frame]) }; bytes[frame] = true }

/* munmap and mmap at the same address: cleared, freed, mapped anew. */
inline remap(old, isLast) {
  d_step { old = pte; pte = 0 };
  put(old, isLast);
  d_step { pte = 2; refs[2]++ }
}

/* Migration: entry away, references as expected?, copy, new entry. */
inline move(old, isLast, copied) {
  d_step { old = pte; pte = 0 };
  if
  :: refs[old] == 1 -> copied = bytes[1]; bytes[2] = copied; d_step { pte = 2; refs[2]++ }; put(old, isLast)
  :: else -> pte = old
  fi
}
