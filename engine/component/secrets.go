package component

import (
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"maia-dr/engine/vault"
)

// maxScanned is the largest file that is looked through for secrets.
const maxScanned = 8 << 20

// Why a file is secret-bearing.
const (
	reasonCredentials = "it holds credentials"
	reasonEnvironment = "it is an environment file"
	reasonNetrc       = "it holds passwords for hosts"
	reasonVariables   = "it has variables that are called like secrets"
	reasonPlist       = "unreadable property list, may hold secrets"
	reasonLarge       = "too large to be looked through, may hold secrets"
	reasonNamed       = "the configuration names it as a secret"
	reasonMoved       = "the value of a captured secret was found in it"
	reasonRemote      = "it has the address of a remote with a password in it"
)

// wholeReasons are why files of these kinds are secret-bearing whatever is in them.
var wholeReasons = map[vault.Kind]string{
	vault.Python: reasonCredentials, vault.Env: reasonEnvironment, vault.Netrc: reasonNetrc,
}

// finding is what looking through a file for secrets gave.
type finding struct {
	kind       vault.Kind
	reason     string // empty: no secret is in it
	names      []string
	redactable bool
	top        map[string]any // of a property list
}

// secretFile makes a SecretFile of a finding.
func (x finding) secretFile(component, rel, source string, fi fs.FileInfo) SecretFile {
	return SecretFile{
		Component: component, Path: rel, Source: source, Reason: x.reason, Names: x.names,
		Redactable: x.redactable, Kind: x.kind, Mode: modeOf(fi), Stat: StatOf(fi),
	}
}

// lookThrough looks for secrets in a file of a kind. The error is that of reading it. A property list that cannot be
// understood, and a file that is too large, are taken for secret-bearing: it cannot be shown that they are not.
func lookThrough(source string, id FileID, kind vault.Kind) (x finding, err error) {
	x.kind = kind
	limit := int64(maxScanned)
	if kind == vault.Plist {
		limit = vault.MaxPlist
	}
	b, err := readSmall(source, id, limit)
	if errors.Is(err, errLarge) {
		if x.reason = reasonLarge; kind == vault.Plist {
			x.reason = reasonPlist
		}
		return x, nil
	}
	if err != nil {
		return x, err
	}
	var secrets []vault.Secret
	if kind == vault.Plist {
		secrets, x.top, err = vault.FindInPlist(b)
	} else {
		secrets, err = vault.Find(kind, b)
	}
	if err != nil {
		x.reason = reasonPlist
		return x, nil //nolint:nilerr // the reason is in the answer
	}
	for _, s := range secrets {
		if !s.Identifier {
			x.names = append(x.names, s.Name)
		}
	}
	if slices.Sort(x.names); len(x.names) > 0 {
		x.redactable = kind.Redactable()
		if x.reason = reasonVariables; kind == vault.GitConfig {
			x.reason = reasonRemote
		}
	}
	return x, nil
}

// secretUnderRoot returns the file if it is secret-bearing, else nil. The file is opened only if its name, or its
// being a personal file as well, makes it a candidate.
func (w *walker) secretUnderRoot(rel, name string, fi fs.FileInfo) *SecretFile {
	id, component := StatOf(fi).ID(), w.componentOf(rel, File, 0)
	if same := w.secretIDs[id]; same != nil {
		s := *same
		s.Component, s.Path, s.Source = component, rel, w.abs(rel)
		return &s
	}
	if reason := w.named(rel); reason != "" {
		s := namedSecret(component, rel, w.abs(rel), reason, fi)
		return &s
	}
	kind, ok := vault.KindOf(rel)
	if !ok || kind == vault.Settings || kind == vault.Plist && !isMaiaAgent(name) || kind == vault.Shell && name[0] != '.' {
		// Settings and scripts are too many to be read each time, and few have secrets: they are captured, and scanned
		// as any text is.
		return nil
	}
	x, err := lookThrough(w.abs(rel), id, kind)
	switch whole := wholeReasons[kind]; {
	case err != nil && !alwaysWhole(name, kind), x.reason == reasonPlist:
		// What cannot be read is left out later. A copy of an agent that is no property list is text like any other.
		return nil
	case alwaysWhole(name, kind), x.reason == reasonVariables && whole != "":
		x.reason = whole
	case x.reason == "":
		return nil
	}
	s := x.secretFile(component, rel, w.abs(rel), fi)
	return &s
}

// named returns why a file is secret as a whole because it was named, or "".
func (w *walker) named(name string) (reason string) {
	switch {
	case slices.Contains(w.o.SecretFiles, name):
		return reasonNamed
	case slices.Contains(w.o.Moved, name):
		return reasonMoved
	}
	return ""
}

// namedSecret makes a SecretFile of a file that was named.
func namedSecret(component, rel, source, reason string, fi fs.FileInfo) SecretFile {
	kind, ok := vault.KindOf(rel)
	if !ok {
		kind = vault.Text
	}
	x := finding{kind: kind}
	if found, err := lookThrough(source, StatOf(fi).ID(), kind); err == nil {
		x.names = found.names
	}
	x.reason = reason
	return x.secretFile(component, rel, source, fi)
}

// namedPersonal takes the files under home that were named.
func (w *walker) namedPersonal() {
	for _, name := range slices.Concat(w.o.SecretFiles, w.o.Moved) {
		rel, ok := strings.CutPrefix(name, "~/")
		if !ok {
			continue
		}
		component, at := ShellConfigs, rel
		if agent, ok := strings.CutPrefix(rel, agentsDir+"/"); ok {
			component, at = LaunchAgents, agent
		}
		reason := w.named(name)
		rel, ok = w.underHome(name)
		source, fi, found := "", fs.FileInfo(nil), false
		if ok {
			source, fi, found = w.resolve(component, at, filepath.Join(w.o.Home, filepath.FromSlash(rel)))
		}
		switch {
		case found && fi.Mode().IsRegular() && w.secretIDs[StatOf(fi).ID()] == nil:
			w.secret(namedSecret(component, at, source, reason, fi))
		case !found && reason == reasonNamed:
			w.leftOut(component, at, "the configuration names it as a secret, and it is not there", true, false)
		}
	}
}

// isNamed reports whether a personal file has been taken because it was named.
func (w *walker) isNamed(fi fs.FileInfo) bool {
	s := w.secretIDs[StatOf(fi).ID()]
	return s != nil && (s.Reason == reasonNamed || s.Reason == reasonMoved)
}

// alwaysWhole reports whether a file is secret whatever is found in it. NAME.env may be anything.
func alwaysWhole(name string, kind vault.Kind) bool {
	return wholeReasons[kind] != "" && (kind != vault.Env || name[0] == '.')
}

func isMaiaAgent(name string) bool {
	ok, err := path.Match(DefaultAgents()[0], name)
	return ok && err == nil
}

// personalSecret looks through a personal file. One that no kind is known of is read as a shell would.
func personalSecret(source, rel string, id FileID) (finding, error) {
	kind, ok := vault.KindOf(rel)
	if !ok {
		kind = vault.Shell
	}
	x, err := lookThrough(source, id, kind)
	if err == nil && alwaysWhole(path.Base(rel), kind) {
		x.reason = wholeReasons[kind]
	}
	return x, err
}
