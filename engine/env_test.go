package engine_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"maia-dr/engine"
)

// The system's clock of awake time runs and never goes back, and its sleep ends with ctx.
func TestSystemEnv(t *testing.T) {
	env := engine.SystemEnv()
	first := env.Awake()
	if err := env.Sleep(t.Context(), time.Millisecond); err != nil {
		t.Error(err)
	}
	if second := env.Awake(); first <= 0 || second-first < time.Millisecond {
		t.Errorf("%s, then %s", first, second)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := env.Sleep(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
