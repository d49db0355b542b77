// Package launchd has macOS run an agent: a property list with a label, loaded into the desktop session of a user, the
// domain gui/UID. Everything goes through launchctl, of which only exit codes count: its output is no interface.
package launchd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What launchd or the tools around it can object to. The text of each says what to do.
var (
	// ErrLabel and ErrPlist are found before launchd is asked.
	ErrLabel = errors.New("launchd takes no such label")
	ErrPlist = errors.New("plutil finds the file to be no valid property list")
	// ErrBusy: launchctl's 5, after all retries, or a former run that does not end.
	ErrBusy = errors.New("its former run has not ended, or it is turned off in System Settings, General, Login Items: look there, then try again")
	// ErrOwner is launchctl's 122.
	ErrOwner = errors.New("its file must belong to you, and nobody else may be allowed to write to it")
	// ErrNoDesktop is launchctl's 125: ssh, sudo.
	ErrNoDesktop = errors.New("there is no desktop session for it: log in at the Mac's desktop and try again from there")
	// ErrDisabled is launchctl's 119.
	ErrDisabled = errors.New("it is disabled for this user")
	// ErrRefused is any other code.
	ErrRefused = errors.New("launchd refused it")
)

// Runner runs a tool to its end and returns its exit code. An error says that it could not be run, and matches
// fs.ErrNotExist if it is not there.
type Runner func(ctx context.Context, name string, args ...string) (exit int, err error)

// The tools, not looked up: these are Apple's.
const (
	launchctl = "/bin/launchctl"
	plutil    = "/usr/bin/plutil"
	xattr     = "/usr/bin/xattr"
)

// Exit codes of launchctl, which are not documented by Apple.
const (
	exitNoProcess = 3   // bootout: it was not running
	exitIO        = 5   // bootstrap: still loaded, or turned off
	exitProgress  = 36  // bootout has begun
	exitAlready   = 37  // bootstrap: it is loaded
	exitNotFound  = 113 // not loaded
	exitDisabled  = 119
	exitOwner     = 122
	exitNoSession = 125
)

const (
	pollEvery = 200 * time.Millisecond
	// drainLimit is how long an agent may take to end: launchd kills it after 20 s, our own after 120.
	drainLimit = 130 * time.Second
	attempts   = 5
)

// Load has launchd run an agent from now on, and anew if it runs already: bootout returns before the agent is gone, so
// it is waited for. plist is an absolute path. Quarantine is taken off the file first: tar hands on that of the archive.
func Load(ctx context.Context, run Runner, uid int, plist, label string) error {
	l := loader{ctx: ctx, run: run, domain: "gui/" + strconv.Itoa(uid)}
	if err := l.load(plist, label); err != nil {
		return fmt.Errorf("load agent %s: %w", label, err)
	}
	return nil
}

// Unload has launchd forget an agent, and waits until it is gone: bootout only begins that. One that is not loaded is
// no error.
func Unload(ctx context.Context, run Runner, uid int, label string) error {
	l := loader{ctx: ctx, run: run, domain: "gui/" + strconv.Itoa(uid)}
	if err := l.unload(label); err != nil {
		return fmt.Errorf("unload agent %s: %w", label, err)
	}
	return nil
}

type loader struct {
	ctx    context.Context
	run    Runner
	domain string
}

func (l *loader) load(plist, label string) error {
	if label == "" || strings.ContainsAny(label, "/\n\x00") { // Of others' agents: ours are stricter.
		return ErrLabel
	}
	if !filepath.IsAbs(plist) {
		return fmt.Errorf("%s is no absolute path: %w", plist, fs.ErrInvalid)
	}
	// It fails where there is no quarantine, as a rule; where the tool is missing, launchd has the last word.
	if _, err := l.run(l.ctx, xattr, "-d", "com.apple.quarantine", plist); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if exit, err := l.run(l.ctx, plutil, "-lint", "-s", plist); err != nil {
		return err
	} else if exit != 0 {
		return ErrPlist
	}
	if _, err := l.call("enable", l.domain+"/"+label); err != nil {
		return err
	}
	if err := l.unload(label); err != nil {
		return err
	}
	return l.bootstrap(plist)
}

func (l *loader) unload(label string) error {
	service := l.domain + "/" + label
	if _, err := l.call("bootout", service, exitNoProcess, exitProgress, exitNotFound); err != nil {
		return err
	}
	return l.drain(service)
}

// call runs launchctl; fine are the codes besides 0 that are no error.
func (l *loader) call(verb, service string, fine ...int) (exit int, err error) {
	exit, err = l.run(l.ctx, launchctl, verb, service)
	if err != nil {
		return 0, err
	}
	if slices.Contains(append(fine, 0), exit) {
		return exit, nil
	}
	return exit, refusal(verb, exit)
}

func refusal(verb string, exit int) error {
	err := ErrRefused
	switch exit {
	case exitIO:
		err = ErrBusy
	case exitDisabled:
		err = ErrDisabled
	case exitOwner:
		err = ErrOwner
	case exitNoSession:
		err = ErrNoDesktop
	}
	return fmt.Errorf("%w (launchctl %s: %d)", err, verb, exit)
}

// drain waits until the agent is not loaded any more.
func (l *loader) drain(service string) error {
	for waited := time.Duration(0); ; waited += pollEvery {
		exit, err := l.run(l.ctx, launchctl, "print", service)
		switch {
		case err != nil:
			return err
		case exit == exitNoSession:
			return refusal("print", exit)
		case exit != 0:
			return nil
		case waited >= drainLimit:
			return fmt.Errorf("%w (it is still there after %v)", ErrBusy, drainLimit)
		}
		if err := l.sleep(pollEvery); err != nil {
			return err
		}
	}
}

// bootstrap loads the agent. 5 may pass.
func (l *loader) bootstrap(plist string) error {
	for n, pause := 1, 500*time.Millisecond; ; n, pause = n+1, 2*pause {
		exit, err := l.run(l.ctx, launchctl, "bootstrap", l.domain, plist)
		switch {
		case err != nil:
			return err
		case exit == 0, exit == exitAlready:
			return nil
		case exit != exitIO || n == attempts:
			return refusal("bootstrap", exit)
		}
		if err := l.sleep(pause); err != nil {
			return err
		}
	}
}

func (l *loader) sleep(d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-l.ctx.Done():
		return l.ctx.Err()
	}
}
