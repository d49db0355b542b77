package launchd

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"howett.net/plist"

	"maia-dr/engine/schedule"
)

// Agent is what launchd is told of a program. It has no environment: that would be a place for secrets.
type Agent struct {
	Label string
	// Program is an absolute path and its arguments.
	Program []string
	// At are the times of day. What passes while the Mac sleeps is started once on waking, what passes while it is off
	// not at all.
	At []schedule.Clock
	// RunAtLoad also starts it at every login, and when it is installed.
	RunAtLoad bool
	// Background has it yield to what the person does: low priority for disk and processor.
	Background bool
	// ExitTimeOut is how many seconds it may take to end before it is killed; 0: launchd's own 20.
	ExitTimeOut int
	// Bundle is the application that Login Items shows it under.
	Bundle string
	// Out is the file that takes what it writes; its folder must exist. launchd knows no "~".
	Out string
}

// maxPlist bounds what is read: a nested property list could exhaust the stack.
const maxPlist = 1 << 20

// dict is a property list's dictionary.
type dict = map[string]any

func (a Agent) check() error {
	if !validLabel(a.Label) {
		return ErrLabel
	}
	if len(a.Program) == 0 || !filepath.IsAbs(a.Program[0]) {
		return errors.New("the program is no absolute path")
	}
	if a.Out != "" && !filepath.IsAbs(a.Out) {
		return errors.New("the file for its output is no absolute path")
	}
	for _, arg := range append(slices.Clone(a.Program), a.Out, a.Bundle) {
		if strings.ContainsFunc(arg, func(r rune) bool { return r < ' ' || r == 0xfffd || r == 0xfffe || r == 0xffff }) {
			return fmt.Errorf("%q has characters that a property list cannot hold", arg)
		}
	}
	return nil
}

// keys are what the agent says; everything that launchd wants as a number is an integer.
func (a Agent) keys() dict {
	d := dict{"Label": a.Label, "ProgramArguments": a.Program, "RunAtLoad": a.RunAtLoad}
	if len(a.At) > 0 {
		var at []any
		for _, c := range a.At {
			at = append(at, dict{"Hour": c.Hour, "Minute": c.Minute})
		}
		d["StartCalendarInterval"] = at
	}
	if a.Background {
		d["LowPriorityIO"], d["Nice"] = true, 5
	}
	if a.ExitTimeOut > 0 {
		d["ExitTimeOut"] = a.ExitTimeOut
	}
	if a.Bundle != "" {
		d["AssociatedBundleIdentifiers"] = a.Bundle
	}
	if a.Out != "" {
		d["StandardOutPath"], d["StandardErrorPath"] = a.Out, a.Out
	}
	return d
}

// Plist returns the agent's property list.
func (a Agent) Plist() ([]byte, error) {
	b, _, err := a.Over(nil)
	return b, err
}

// Over returns the property list that says what the agent does over one that is there already: the agent's keys, and
// every other key as it was. changes says, for people, which keys are not as they were, and shows nothing secret. Nil: there is none yet.
func (a Agent) Over(existing []byte) (b []byte, changes []string, err error) {
	if err := a.check(); err != nil {
		return nil, nil, fmt.Errorf("describe agent %s: %w", a.Label, err)
	}
	tree := dict{}
	if existing != nil {
		if tree, err = parse(existing); err != nil {
			return nil, nil, fmt.Errorf("change agent %s: %w", a.Label, err)
		}
		changes = disarm(tree)
	}
	ours := a.keys()
	for _, key := range sortedKeys(ours) {
		if was, ok := tree[key]; ok && existing != nil && !same(was, ours[key]) {
			changes = append(changes, changed(key, was))
		} else if !ok && existing != nil {
			changes = append(changes, key+": new")
		}
		tree[key] = ours[key]
	}
	b, err = plist.MarshalIndent(tree, plist.XMLFormat, "\t")
	if err != nil {
		return nil, nil, fmt.Errorf("describe agent %s: %w", a.Label, err)
	}
	return append(b, '\n'), changes, nil
}

// changed says that a key is not as it was. What stood among the arguments is not shown: there may be a password.
func changed(key string, was any) string {
	if key == "ProgramArguments" {
		return key + ": replaced"
	}
	return fmt.Sprintf("%s: was %s", key, show(was))
}

// passwordNames are what the plan called its password in an agent's environment.
var passwordNames = []string{"MAIA_VAULT_PASSWORD", "VAULT_PASSWORD"}

// disarm takes out of a property list what would get in an agent's way: another program, a restart for ever, a session
// without a Keychain, and a password or its placeholder.
func disarm(tree dict) (changes []string) {
	drop := func(key, why string) {
		delete(tree, key)
		changes = append(changes, key+": removed, "+why)
	}
	if _, ok := tree["Program"]; ok {
		drop("Program", "it would be started in place of ours")
	}
	if off, ok := tree["Disabled"].(bool); ok && off {
		drop("Disabled", "it would never be started")
	}
	if alive, ok := tree["KeepAlive"]; ok && alive != false {
		drop("KeepAlive", "it would be started over and over")
	}
	if s, _ := tree["LimitLoadToSessionType"].(string); s == "Background" {
		drop("LimitLoadToSessionType", "there is no Keychain in that session")
	}
	env, _ := tree["EnvironmentVariables"].(dict)
	for _, name := range passwordNames {
		if _, ok := env[name]; ok {
			delete(env, name)
			changes = append(changes, "EnvironmentVariables: "+name+" removed, a password has no place here")
		}
	}
	if env != nil && len(env) == 0 {
		delete(tree, "EnvironmentVariables")
	}
	return changes
}

// parse reads a property list, XML or binary. Anything else would be taken for the old OpenStep format, in which every
// text is valid.
func parse(b []byte) (dict, error) {
	if len(b) > maxPlist {
		return nil, errors.New("it is larger than 1 MB")
	}
	if !bytes.HasPrefix(b, []byte("bplist")) && !bytes.Contains(b[:min(len(b), 512)], []byte("<plist")) {
		return nil, ErrPlist
	}
	var tree dict
	if _, err := plist.Unmarshal(b, &tree); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPlist, err)
	}
	if tree["Label"] == nil {
		return nil, fmt.Errorf("%w: it has no Label", ErrPlist)
	}
	return tree, nil
}

// Read returns what a property list says, as far as an Agent can say it. A calendar entry without an hour is no time of
// day and is passed over; of one for certain days only the time counts.
func Read(b []byte) (Agent, error) {
	tree, err := parse(b)
	if err != nil {
		return Agent{}, fmt.Errorf("read agent: %w", err)
	}
	a := Agent{}
	a.Label, _ = tree["Label"].(string)
	a.RunAtLoad, _ = tree["RunAtLoad"].(bool)
	a.Out, _ = tree["StandardOutPath"].(string)
	args, _ := tree["ProgramArguments"].([]any)
	for _, arg := range args {
		s, _ := arg.(string)
		a.Program = append(a.Program, s)
	}
	entries, ok := tree["StartCalendarInterval"].([]any)
	if !ok {
		entries = []any{tree["StartCalendarInterval"]}
	}
	for _, e := range entries {
		d, _ := e.(dict)
		hour, ok := number(d["Hour"])
		minute, _ := number(d["Minute"])
		if ok && hour < 24 && minute < 60 {
			a.At = append(a.At, schedule.Clock{Hour: hour, Minute: minute})
		}
	}
	return a, nil
}

func number(v any) (int, bool) {
	switch n := v.(type) {
	case uint64:
		return int(min(n, 1<<30)), true
	case int64:
		return int(n), n >= 0
	}
	return 0, false
}

func sortedKeys(d dict) []string {
	keys := make([]string, 0, len(d))
	for k := range d {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// same compares a value of a file with one that will be written.
func same(was, is any) bool { return show(was) == show(is) }

// show writes a value for people: as a property list in one line.
func show(v any) string {
	b, err := plist.Marshal(v, plist.OpenStepFormat)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

func validLabel(label string) bool {
	return label != "" && !strings.ContainsFunc(label, func(r rune) bool {
		return r != '.' && r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}
