package keychain

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"
)

// backend is what a platform can do. Its calls may block for as long as a question is on the screen, whatever becomes
// of ctx. They are made one at a time.
type backend interface {
	get(ctx context.Context, item Item) ([]byte, error)
	set(ctx context.Context, item Item, secret []byte) error
	delete(ctx context.Context, item Item) error
}

// guard makes a Store of a backend. A caller whose time is over leaves, but the blocked call keeps its turn until it
// ends: nothing else is asked meanwhile, so that there is never a second question on the screen.
type guard struct {
	backend backend
	limit   time.Duration
	turn    chan struct{} // one place: whoever has put something in has the turn
}

func newGuard(b backend, limit time.Duration) *guard {
	return &guard{b, limit, make(chan struct{}, 1)}
}

// Get implements Store.
func (g *guard) Get(ctx context.Context, item Item) (Secret, error) {
	secret, err := within(ctx, g, item, func(ctx context.Context) (Secret, error) { return g.read(ctx, item) })
	if err != nil {
		return Secret{}, fmt.Errorf("read %s from keychain: %w", item.Account, err)
	}
	return secret, nil
}

// Set implements Store.
func (g *guard) Set(ctx context.Context, item Item, secret Secret) error {
	if len(secret.Bytes()) == 0 {
		return fmt.Errorf("write %s to keychain: %w", item.Account, ErrEmpty)
	}
	_, err := within(ctx, g, item, func(ctx context.Context) (Secret, error) {
		if err := g.backend.set(ctx, item, secret.Bytes()); err != nil {
			return Secret{}, err
		}
		if ctx.Err() != nil { // nobody is waiting: a read might put up a question
			return Secret{}, ctx.Err()
		}
		// A password that cannot be read again is a vault that cannot be opened again.
		got, err := g.read(ctx, item)
		if err != nil {
			return Secret{}, fmt.Errorf("read back: %w", err)
		}
		if subtle.ConstantTimeCompare(got.Bytes(), secret.Bytes()) != 1 {
			return Secret{}, errDiffers
		}
		return Secret{}, nil
	})
	if err != nil {
		return fmt.Errorf("write %s to keychain: %w", item.Account, err)
	}
	return nil
}

// Delete implements Store.
func (g *guard) Delete(ctx context.Context, item Item) error {
	_, err := within(ctx, g, item, func(ctx context.Context) (Secret, error) { return Secret{}, g.backend.delete(ctx, item) })
	if err != nil {
		return fmt.Errorf("delete %s from keychain: %w", item.Account, err)
	}
	return nil
}

func (g *guard) read(ctx context.Context, item Item) (Secret, error) {
	b, err := g.backend.get(ctx, item)
	if err != nil {
		return Secret{}, err
	}
	if len(b) == 0 {
		return Secret{}, ErrEmpty
	}
	return NewSecret(b), nil
}

// within waits for the turn, makes a call and waits for its end, all within the time limit.
func within(ctx context.Context, g *guard, item Item, call func(context.Context) (Secret, error)) (Secret, error) {
	if err := item.check(); err != nil {
		return Secret{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, g.limit, ErrTimeout)
	defer cancel()
	if ctx.Err() != nil {
		return Secret{}, late(ctx)
	}
	select {
	case g.turn <- struct{}{}:
	case <-ctx.Done():
		return Secret{}, fmt.Errorf("wait for an earlier question: %w", late(ctx))
	}
	type result struct {
		secret Secret
		err    error
	}
	done := make(chan result, 1)
	go func() {
		defer func() { <-g.turn }()
		secret, err := call(ctx)
		done <- result{secret, err}
	}()
	select {
	case r := <-done:
		if r.err != nil && ctx.Err() != nil && errors.Is(r.err, ctx.Err()) {
			return Secret{}, late(ctx)
		}
		return r.secret, r.err
	case <-ctx.Done():
		return Secret{}, late(ctx)
	}
}

// late says why ctx is over: ErrTimeout for our limit, that and the caller's error for his, else only the latter.
func late(ctx context.Context) error {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, ErrTimeout):
		return cause
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", ErrTimeout, ctx.Err())
	}
	return ctx.Err()
}
