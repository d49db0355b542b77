package cli

import (
	"context"
	"errors"

	"maia-dr/engine"
)

// The exit codes, shared with restore_maia.sh.
const (
	ExitDone       = 0
	ExitFailed     = 1
	ExitUsage      = 2
	ExitIncomplete = 3 // done, but something of the user's is missing
	ExitUploading  = 4 // complete, upload not confirmed within the wait
	ExitNotFound   = 10
	ExitBusy       = 11
	ExitPassword   = 12
	ExitCancelled  = 130
)

// ExitText explains each exit code in help and README.
var ExitText = []struct {
	Code int
	Text string
}{
	{ExitDone, "done"},
	{ExitFailed, "failed"},
	{ExitUsage, "usage"},
	{ExitIncomplete, "done, but something of the user's is missing"},
	{ExitUploading, "complete, upload not confirmed within the wait"},
	{ExitNotFound, "no Maia root or OneDrive folder"},
	{ExitBusy, "another run is active"},
	{ExitPassword, "wrong or missing password"},
	{ExitCancelled, "cancelled"},
}

// exitCode is the one place that maps errors to exit codes.
func exitCode(err error) int {
	if errors.Is(err, context.Canceled) {
		return ExitCancelled
	}
	switch engine.CodeOf(err) {
	case engine.CodeUsage, engine.CodeConfig, engine.CodeUnknownBackup, engine.CodeAmbiguous:
		return ExitUsage
	case engine.CodeNoRoot, engine.CodeNoOneDrive:
		return ExitNotFound
	case engine.CodeBusy:
		return ExitBusy
	case engine.CodePasswordMissing, engine.CodePasswordWrong:
		return ExitPassword
	case engine.CodeCancelled:
		return ExitCancelled
	}
	return ExitFailed
}
