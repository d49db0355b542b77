package cli

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"maia-dr/engine"
)

// Scripts go by the exit code: each kind of error has its own, wherever it is wrapped; what has none has failed.
func TestExitCode(t *testing.T) {
	for code, want := range map[engine.Code]int{
		engine.CodeUsage: 2, engine.CodeConfig: 2, engine.CodeUnknownBackup: 2, engine.CodeAmbiguous: 2, engine.CodeNoRoot: 10, engine.CodeNoOneDrive: 10,
		engine.CodeBusy: 11, engine.CodePasswordMissing: 12, engine.CodePasswordWrong: 12, engine.CodeCancelled: 130,
		engine.CodeFailed: 1, engine.CodeDamaged: 1, engine.CodeForeignWriter: 1, engine.CodeDiskFull: 1, engine.CodeSecretLeak: 1, "unheard of": 1,
	} {
		err := fmt.Errorf("around it: %w", &engine.Error{Op: "try", Code: code, Err: errors.New("why")})
		if got := exitCode(err); got != want {
			t.Errorf("%s: %d, want %d", code, got, want)
		}
	}
	if got := exitCode(fmt.Errorf("around it: %w", context.Canceled)); got != 130 {
		t.Errorf("cancelled: %d", got)
	}
	if got := exitCode(errors.New("any")); got != 1 {
		t.Errorf("any other: %d", got)
	}
}
