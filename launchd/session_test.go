package launchd

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// session is a desktop session's launchd behind launchctl, as far as it is known: bootout returns at once and the agent
// drains for some time, in which print still finds it and bootstrap answers 5.
type session struct {
	t        *testing.T
	desktop  bool
	loaded   map[string]string // label to the property list it was loaded from, as it was then
	draining map[string]int    // label to the number of looks for which it still drains
	disabled map[string]bool
	drains   int // how many looks an agent takes to end
	// answers are what a verb exits with, whatever the state is.
	answers map[string]int
	calls   []string
}

func newSession(t *testing.T) *session {
	return &session{t: t, desktop: true, loaded: map[string]string{}, draining: map[string]int{}, disabled: map[string]bool{}, drains: 3}
}

func (s *session) run(_ context.Context, name string, args ...string) (int, error) {
	s.calls = append(s.calls, filepath.Base(name)+" "+strings.Join(args, " "))
	if name == xattr {
		return 1, nil
	}
	if name == plutil {
		_, err := Read(s.read(args[len(args)-1]))
		return map[bool]int{false: 0, true: 1}[err != nil], nil
	}
	if !s.desktop {
		return exitNoSession, nil
	}
	if exit, ok := s.answers[args[0]]; ok {
		if args[0] == "bootout" && (exit == exitNoProcess || exit == exitProgress || exit == exitNotFound) {
			clear(s.loaded)
		}
		return exit, nil
	}
	if args[0] == "bootstrap" {
		return s.bootstrap(args[1], args[2]), nil
	}
	label, ok := strings.CutPrefix(args[1], "gui/501/")
	if !ok {
		s.t.Errorf("another domain: %s", args[1])
	}
	switch args[0] {
	case "enable":
		delete(s.disabled, label)
		return 0, nil
	case "print":
		return s.print(label), nil
	case "bootout":
		if s.draining[label] > 0 {
			return exitProgress, nil
		}
		if _, ok := s.loaded[label]; !ok {
			return exitNoProcess, nil
		}
		delete(s.loaded, label)
		s.draining[label] = s.drains
		return 0, nil
	}
	s.t.Errorf("launchctl %v", args)
	return 64, nil
}

func (s *session) print(label string) int {
	if s.draining[label] > 0 {
		s.draining[label]--
		return 0
	}
	if _, ok := s.loaded[label]; ok {
		return 0
	}
	return exitNotFound
}

func (s *session) bootstrap(domain, path string) int {
	b := s.read(path)
	fi, err := os.Stat(path)
	a, rerr := Read(b)
	switch {
	case domain != "gui/501" || err != nil || rerr != nil:
		s.t.Errorf("bootstrap %s %s: %v, %v", domain, path, err, rerr)
		return exitIO
	case fi.Mode().Perm()&0o022 != 0:
		return exitOwner
	case s.disabled[a.Label]:
		return exitDisabled
	case s.draining[a.Label] > 0 || s.loaded[a.Label] != "":
		return exitIO
	}
	if fi, err := os.Stat(filepath.Dir(a.Out)); a.Out != "" && (err != nil || !fi.IsDir()) {
		s.t.Errorf("the folder of %s does not exist", a.Out)
	}
	s.loaded[a.Label] = string(b)
	return 0
}

func (s *session) read(path string) []byte {
	b, err := os.ReadFile(path)
	if err != nil {
		s.t.Error(err)
	}
	return b
}

func (s *session) count(prefix string) int {
	return len(slices.DeleteFunc(slices.Clone(s.calls), func(c string) bool { return !strings.HasPrefix(c, prefix) }))
}
