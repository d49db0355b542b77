package keychain

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

// blocking is a backend that waits for release whatever becomes of the context, as macOS does with its question.
type blocking struct {
	release chan struct{}
	calls   atomic.Int32
}

func (b *blocking) get(context.Context, Item) ([]byte, error) {
	b.calls.Add(1)
	<-b.release
	return []byte(password), nil
}
func (b *blocking) set(context.Context, Item, []byte) error { b.calls.Add(1); <-b.release; return nil }
func (b *blocking) delete(context.Context, Item) error      { b.calls.Add(1); <-b.release; return nil }

// A question that nobody answers ends no caller's patience but his own, and is asked once.
func TestGuardAsksOnce(t *testing.T) {
	b := &blocking{release: make(chan struct{})}
	g := newGuard(b, 20*time.Millisecond)
	for range 3 {
		if _, err := g.Get(t.Context(), item); !errors.Is(err, ErrTimeout) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("get: %v", err)
		}
	}
	if err := g.Set(t.Context(), item, NewSecret([]byte("x"))); !errors.Is(err, ErrTimeout) {
		t.Errorf("set: %v", err)
	}
	if err := g.Delete(t.Context(), item); !errors.Is(err, ErrTimeout) {
		t.Errorf("delete: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(time.Millisecond, cancel)
	if _, err := g.Get(ctx, item); !errors.Is(err, context.Canceled) || errors.Is(err, ErrTimeout) {
		t.Errorf("get, cancelled: %v", err)
	}
	if n := b.calls.Load(); n != 1 {
		t.Errorf("%d calls while one was pending", n)
	}
	close(b.release)
	g.limit = time.Minute
	if got, err := g.Get(t.Context(), item); err != nil || string(got.Bytes()) != password {
		t.Errorf("get after the answer: %v", err)
	}
}

// What was answered too late is not followed by another question.
func TestGuardLateAnswer(t *testing.T) {
	b := &blocking{release: make(chan struct{})}
	g := newGuard(b, 20*time.Millisecond)
	if err := g.Set(t.Context(), item, NewSecret([]byte(password))); !errors.Is(err, ErrTimeout) {
		t.Errorf("set: %v", err)
	}
	close(b.release)
	g.limit = time.Minute
	if err := g.Delete(t.Context(), item); err != nil {
		t.Errorf("delete: %v", err)
	}
	if n := b.calls.Load(); n != 2 {
		t.Errorf("%d calls, want the write and the deletion", n)
	}
}

// Whoever gives a shorter limit gets both errors.
func TestGuardCallersDeadline(t *testing.T) {
	b := &blocking{release: make(chan struct{})}
	defer close(b.release)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := newGuard(b, time.Minute).Get(ctx, item); !errors.Is(err, ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// fixed answers reads with the same thing, whatever was written.
type fixed struct {
	secret []byte
	err    error
}

func (f fixed) get(context.Context, Item) ([]byte, error) { return f.secret, f.err }
func (fixed) set(context.Context, Item, []byte) error     { return nil }
func (fixed) delete(context.Context, Item) error          { return nil }

// A write that does not read back has failed.
func TestGuardReadsBack(t *testing.T) {
	for _, tc := range []struct {
		backend fixed
		want    error
	}{
		{fixed{secret: []byte(password)}, nil},
		{fixed{secret: []byte(password + " ")}, errDiffers},
		{fixed{secret: []byte{}}, ErrEmpty},
		{fixed{}, ErrEmpty},
		{fixed{err: ErrNotFound}, ErrNotFound},
		{fixed{err: ErrLocked}, ErrLocked},
	} {
		if err := newGuard(tc.backend, time.Minute).Set(t.Context(), item, NewSecret([]byte(password))); !errors.Is(err, tc.want) {
			t.Errorf("%v: %v", tc.want, err)
		}
	}
}

func TestGuardEmptyRead(t *testing.T) {
	for _, secret := range [][]byte{nil, {}} {
		if _, err := newGuard(fixed{secret: secret}, time.Minute).Get(t.Context(), item); !errors.Is(err, ErrEmpty) {
			t.Error(err)
		}
	}
}
