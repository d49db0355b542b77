// Package keychain is the place of the vault's password: the login keychain of macOS, the Secret Service of a Linux
// desktop, or memory in tests.
//
// A secret is the bytes of one password, an item is where it lies: a service and an account, shown under a label. A
// store is what holds items. Asking for an item may put a question on the screen, and only the user ends it; hence
// every call has a time limit, and what went wrong is told apart by errors that each have a remedy of their own.
package keychain

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// The item of the vault's password.
const (
	Service = "com.maia.recovery"
	Account = "vault"
)

// Item says where a secret lies. Service and Account are its key and must not be empty: an empty one would match the
// items of others. Label is what Keychain Access and its like show; it is written and never searched for.
type Item struct {
	Service, Account, Label string
}

// Store keeps secrets. The stores of this package are safe for concurrent use; they do one thing at a time, and the
// calls that wait for their turn do so within their own time limit. Beside the errors below a call returns that of ctx
// if ctx was cancelled.
type Store interface {
	// Get returns the secret of an item. An empty one is ErrEmpty, never an empty password.
	Get(ctx context.Context, item Item) (Secret, error)
	// Set writes the secret of an item, new or not, and reads it back. After ErrTimeout it may still happen: a question
	// that is on the screen can be answered late.
	Set(ctx context.Context, item Item, secret Secret) error
	// Delete removes an item. An absent one is ErrNotFound.
	Delete(ctx context.Context, item Item) error
}

// What can be wrong with a keychain, each with another remedy.
var (
	ErrNotFound    = errors.New("no such item in the keychain")
	ErrLocked      = errors.New("the keychain is locked, and nobody can be asked to unlock it")
	ErrDenied      = errors.New("access to the keychain was refused")
	ErrTimeout     = errors.New("the keychain did not answer in time")
	ErrUnavailable = errors.New("there is no keychain to ask")
	ErrEmpty       = errors.New("the secret is empty")
)

// errDiffers ends a Set whose secret reads back as another.
var errDiffers = errors.New("what was stored reads back differently")

// Names for Options.Backend.
const (
	BackendSystem   = ""         // the platform's own
	BackendSecurity = "security" // macOS: /usr/bin/security, see NewSecurityTool
)

// DefaultTimeLimit is how long a call may take, with the time that a person needs to answer.
const DefaultTimeLimit = 30 * time.Second

// Options of a store; the zero value works.
type Options struct {
	TimeLimit time.Duration // of one call, questions to the user included; DefaultTimeLimit if 0
	Backend   string        // BackendSystem or BackendSecurity
	Run       Runner        // runs the security tool; Run if nil
}

func (o *Options) applyDefaults() {
	if o.TimeLimit == 0 {
		o.TimeLimit = DefaultTimeLimit
	}
	if o.Run == nil {
		o.Run = Run
	}
}

// System returns the store of this platform. It touches nothing: a keychain that is not there is told by its first
// call, as ErrUnavailable. Make one per process; a Linux store keeps its connection to the bus for life.
func System(opt Options) Store {
	opt.applyDefaults()
	switch opt.Backend {
	case BackendSystem:
		return newGuard(system(), opt.TimeLimit)
	case BackendSecurity:
		return NewSecurityTool(opt)
	}
	return newGuard(unavailable(fmt.Sprintf("no keychain backend is called %q", opt.Backend)), opt.TimeLimit)
}

func (i Item) check() error {
	if i.Service == "" || i.Account == "" {
		return errors.New("an item needs a service and an account")
	}
	if strings.ContainsRune(i.Service+i.Account+i.Label, 0) {
		return errors.New("the name of an item holds a zero byte")
	}
	return nil
}

// unavailable is the backend of a platform that has none: a sentence that says why and what to do.
type unavailable string

func (u unavailable) err() error { return fmt.Errorf("%w: %s", ErrUnavailable, string(u)) }

func (u unavailable) get(context.Context, Item) ([]byte, error) { return nil, u.err() }
func (u unavailable) set(context.Context, Item, []byte) error   { return u.err() }
func (u unavailable) delete(context.Context, Item) error        { return u.err() }
