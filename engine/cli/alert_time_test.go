package cli

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"maia-dr/engine"
	"maia-dr/engine/onedrive"
	"maia-dr/tray/notify"
)

// silentProvider can answer, and does not before it is told to give up.
type silentProvider struct{ uploadedProvider }

func (silentProvider) Observe(ctx context.Context, _ []string) ([]onedrive.Answer, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// However long OneDrive is silent, the whole time for telling is left afterwards: after a backup, and at the end of any run.
// The time of what is waited for is the test's own.
func TestSilenceLeavesTimeToTell(t *testing.T) {
	t.Parallel()
	w := newReportWorld(t)
	res, err := w.engine().Backup(t.Context(), engine.BackupOptions{NoVault: true})
	if err != nil {
		t.Fatal(err)
	}
	w.provider = silentProvider{}
	e := w.engine()
	for name, tc := range map[string]struct {
		later time.Duration
		want  string
		end   func(a *app)
	}{
		"after a backup": {time.Minute, notify.Completed, func(a *app) {
			a.config.Notify.Success = true
			a.backupBegins(t.Context(), e)(res, nil)
		}},
		"at the end": {72 * time.Hour, notify.Problem, func(a *app) { a.tellEnd(t.Context(), e) }},
	} {
		w.pass(tc.later)
		var told []string
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			a := &app{log: zerolog.Nop()}
			a.Env.Now = w.now
			a.Screen = func(ctx context.Context, m notify.Message) error {
				if until, ok := ctx.Deadline(); !ok || time.Until(until) <= 0 {
					t.Errorf("%s: no time is left", name)
				}
				told = append(told, m.Event)
				return ctx.Err()
			}
			tc.end(a)
			if time.Since(began) < tellLimit {
				t.Errorf("%s: nobody was silent for long", name)
			}
		})
		if !slices.Contains(told, tc.want) {
			t.Errorf("%s: told %q", name, told)
		}
	}
}
