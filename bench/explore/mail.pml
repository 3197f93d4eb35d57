/* src/explore/protocols/mail.ts, variant "naive refresher": the pointer is cleared and readers are waited for; a refresh knows of neither. */
#include "page.pml"

byte pointer = 1;
byte section;
byte count;
bool delivered;

active proctype reader() {
  byte frame, found; bool isLast; byte round = 0;
  do
  :: round < 2 ->
     section++;
     frame = pointer;
     if :: frame != 0 -> setEvent(frame) :: else fi;
     section++;
     if
     :: frame != 0 -> delivered = true
     :: else -> lookUp(found); pointer = found; put(found, isLast)
     fi;
     round++
  :: else -> break
  od
}

active proctype host() {
  byte seen, old; bool isLast, copied;
  count++;
  pointer = 0;
  seen = section;
  if :: seen % 2 == 1 -> (section != seen) :: else fi;
  move(old, isLast, copied);
  count--
}
