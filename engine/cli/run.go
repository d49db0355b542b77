package cli

import (
	"encoding/json"
	"errors"

	"maia-dr/engine"
	"maia-dr/engine/repository"
)

// runLine begins the summary of every run, the last line of its JSON output.
type runLine struct {
	Event    string `json:"event"`
	Version  int    `json:"version"`
	Kind     string `json:"kind"`
	Status   string `json:"status"`
	ExitCode int    `json:"exit_code"`
	runFields
}

// runFields are in the summary of every run; a run that reads stores nothing.
type runFields struct {
	BackupID    string               `json:"backup_id"`
	StoredBytes int64                `json:"stored_bytes"`
	SourceBytes int64                `json:"source_bytes"`
	Seconds     float64              `json:"duration_s"`
	Warnings    []repository.Warning `json:"warnings"`
	Sync        syncSummary          `json:"sync"`
}

func summary(kind, status string, exit int, f runFields) runLine {
	if f.Warnings == nil {
		f.Warnings = []repository.Warning{}
	}
	return runLine{Event: "summary", Version: 1, Kind: kind, Status: status, ExitCode: exit, runFields: f}
}

// failure is the summary of a run that failed.
type failure struct {
	runLine
	Error failureError `json:"error"`
}

type failureError struct {
	Code    engine.Code `json:"code"`
	Message string      `json:"message"`
	Hint    string      `json:"hint,omitempty"`
}

// done ends a run that came to its end, whatever it found: with its JSON line, or with text.
func (a *app) done(exit int, line any, text func()) error {
	a.tidy()
	a.exit = exit
	if a.flags.json {
		return a.line(line)
	}
	text()
	return nil
}

// fail reports an error of a run that speaks JSON lines: its last line says so too.
func (a *app) fail(kind string, err error) error {
	a.tidy()
	if !a.flags.json {
		return err
	}
	f := failure{runLine: summary(kind, "failed", exitCode(err), runFields{Sync: syncSummary{State: "unknown"}}),
		Error: failureError{Code: engine.CodeOf(err), Message: err.Error()}}
	if f.Error.Code == engine.CodeCancelled {
		f.Status = "cancelled"
	}
	if known, ok := errors.AsType[*engine.Error](err); ok {
		f.Error.Hint = known.Advice()
	}
	if lerr := a.line(f); lerr != nil {
		return errors.Join(err, lerr)
	}
	a.report(err)
	return &reportedError{err}
}

// line writes one line of JSON.
func (a *app) line(v any) error {
	enc := json.NewEncoder(a.Out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// tidy takes the progress bar off the screen before the answer is written.
func (a *app) tidy() {
	for _, f := range a.cleanup {
		f()
	}
	a.cleanup = nil
}

// printProblems lists what is wrong with a backup.
func (a *app) printProblems(list []string) {
	for i, p := range list {
		if i == 20 && !a.flags.verbose {
			a.printf("  and %d more; --verbose lists them all\n", len(list)-i)
			return
		}
		a.printf("  %s\n", clean(p))
	}
}
