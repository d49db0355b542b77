package notify

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/gen2brain/beeep"
)

// Screen shows notifications of macOS, under the name of the program that shows them for us. getenv is not needed here.
// Notify has no time limit of its own: while one hangs, the others fail.
func Screen(func(string) string, int) Channel {
	var hanging sync.Mutex
	return func(ctx context.Context, m Message) error {
		if !hanging.TryLock() {
			return errors.New("show a notification: the one before has not returned yet")
		}
		done := make(chan error, 1)
		go func() {
			defer hanging.Unlock()
			done <- beeep.Notify(m.Title, m.body(), "")
		}()
		select {
		case err := <-done:
			return err
		case <-ctx.Done():
			return fmt.Errorf("show a notification: it did not return in time: %w", context.DeadlineExceeded)
		}
	}
}

// Hidden explains where the system hides notifications.
const Hidden = "If they do not appear: System Settings, Notifications, Script Editor (macOS shows them under this name), Allow Notifications; and no Focus may hide them."
