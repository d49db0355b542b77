// Package event says what happens during a run, as values: the engine sends them, and the command line, the log and
// the status file each make of them what they need. The engine knows neither text layout, JSON nor the tray.
package event

import "maia-dr/engine/repository"

// Phase names a part of a run.
type Phase string

// The phases of all runs, in the order in which a backup goes through its own.
const (
	Scan      Phase = "scan"
	Capture   Phase = "capture"
	Rebuild   Phase = "rebuild_index"
	Verify    Phase = "verify"
	Publish   Phase = "publish"
	Retention Phase = "retention"
	Wait      Phase = "wait"
	Download  Phase = "download"
	Plan      Phase = "plan"
	Read      Phase = "read"
	Place     Phase = "place"
	Check     Phase = "check"
	Activate  Phase = "activate"
	Compare   Phase = "compare"
	Export    Phase = "export"
)

// Kind says which fields of an Event mean something.
type Kind string

// The kinds of events.
const (
	PhaseStarted Kind = "phase"    // Phase, Total
	Progress     Kind = "progress" // Phase, Done, Total
	Warned       Kind = "warning"  // Warning
	Note         Kind = "note"     // Text: something the user may want to know, not a warning
)

// Event is one thing that happened. Done and Total are bytes; Total is 0 where it is not known.
type Event struct {
	Kind        Kind
	Phase       Phase
	Done, Total int64
	Text        string
	Warning     *repository.Warning
}

// Sink receives events. It is called from several goroutines, must be quick and must not call back.
type Sink func(Event)
