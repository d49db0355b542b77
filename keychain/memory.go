package keychain

import (
	"bytes"
	"context"
	"sync"
	"time"
)

// Memory is a Store for the tests of other packages. It keeps all rules of a Store.
type Memory struct {
	*guard
	items *memory
}

// NewMemory returns an empty store that forgets everything with the process.
func NewMemory() *Memory {
	m := &memory{secrets: make(map[Item][]byte)}
	return &Memory{newGuard(m, DefaultTimeLimit), m}
}

// SetFault makes all later calls fail with err; with nil they succeed again.
func (m *Memory) SetFault(err error) {
	m.items.mu.Lock()
	defer m.items.mu.Unlock()
	m.items.fault = err
}

// SetDelay makes all later calls take that long, or until their context is over.
func (m *Memory) SetDelay(d time.Duration) {
	m.items.mu.Lock()
	defer m.items.mu.Unlock()
	m.items.delay = d
}

type memory struct {
	mu      sync.Mutex
	fault   error
	delay   time.Duration
	secrets map[Item][]byte // by an item without its label
}

// start is the way into every call: with the lock, if there is no error.
func (m *memory) start(ctx context.Context) error {
	m.mu.Lock()
	fault, delay := m.fault, m.delay
	m.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if fault != nil {
		return fault
	}
	m.mu.Lock()
	return nil
}

func (m *memory) get(ctx context.Context, item Item) ([]byte, error) {
	if err := m.start(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	secret, ok := m.secrets[Item{Service: item.Service, Account: item.Account}]
	if !ok {
		return nil, ErrNotFound
	}
	return secret, nil
}

func (m *memory) set(ctx context.Context, item Item, secret []byte) error {
	if err := m.start(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	m.secrets[Item{Service: item.Service, Account: item.Account}] = bytes.Clone(secret)
	return nil
}

func (m *memory) delete(ctx context.Context, item Item) error {
	if err := m.start(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	key := Item{Service: item.Service, Account: item.Account}
	if _, ok := m.secrets[key]; !ok {
		return ErrNotFound
	}
	delete(m.secrets, key)
	return nil
}
