// Package schedule decides what a run that was started by the clock has to do, and does it: pure, on an injected clock.
//
// A plan is a time of day at which a backup is due, and later ones at which a missed or failed one is caught up. A slot
// is one day of the plan, from its time of day to that of the next day. A slot is done when a complete backup began in
// it, whoever started it. So the system may start the program as often as it likes, at each time of day, at login, when
// the machine wakes: the first start makes the backup, every other one says that it is done.
package schedule
