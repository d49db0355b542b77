package launchd

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"howett.net/plist"

	"maia-dr/engine/schedule"
)

var sample = Manager{Home: "/Users/kim"}.AgentOf(backupJob())

func TestPlist(t *testing.T) {
	b, err := sample.Plist()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasSuffix(b, []byte("</plist>\n")) || bytes.Contains(b, []byte("~")) || bytes.Contains(b, []byte("<real>")) {
		t.Errorf("%s", b)
	}
	// Read by the library that wrote it, into types of its own.
	var got struct {
		Label                       string
		ProgramArguments            []string
		StartCalendarInterval       []struct{ Hour, Minute int }
		RunAtLoad, LowPriorityIO    bool
		Nice, ExitTimeOut           int
		AssociatedBundleIdentifiers string
		StandardOutPath             string
		StandardErrorPath           string
		EnvironmentVariables        map[string]string
		KeepAlive                   any
	}
	if _, err := plist.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	out := "/Users/kim/Library/Logs/Maia Recovery/com.maia.disaster-recovery.log"
	if got.Label != label || !slices.Equal(got.ProgramArguments, backupJob().Program) || !got.RunAtLoad || !got.LowPriorityIO || got.Nice != 5 || got.ExitTimeOut != 120 ||
		got.AssociatedBundleIdentifiers != "com.maia.recovery" || got.StandardOutPath != out || got.StandardErrorPath != out ||
		len(got.StartCalendarInterval) != 3 || got.StartCalendarInterval[2].Hour != 22 || got.StartCalendarInterval[2].Minute != 30 {
		t.Errorf("%+v", got)
	}
	if got.EnvironmentVariables != nil || got.KeepAlive != nil {
		t.Error("no environment, no restarts")
	}
	// And by another's: libplist on Linux, Apple's own on macOS.
	viaBinary := elsewhere(t, elsewhere(t, b, "bin"), "xml")
	if reread, err := Read(viaBinary); err != nil || !reflect.DeepEqual(reread.Program, sample.Program) || !slices.Equal(reread.At, sample.At) {
		t.Errorf("%+v, %v", reread, err)
	}
	if a, b := leaves(t, b), leaves(t, viaBinary); !slices.Equal(a, b) {
		t.Errorf("the other one reads\n%q, not\n%q", b, a)
	}
}

// leaves are the texts and empty elements of a property list in order.
func leaves(t *testing.T, b []byte) (out []string) {
	t.Helper()
	for dec := xml.NewDecoder(bytes.NewReader(b)); ; {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			slices.Sort(out) // dictionaries have no order
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		switch x := token.(type) {
		case xml.CharData:
			if s := strings.TrimSpace(string(x)); s != "" {
				out = append(out, s)
			}
		case xml.StartElement:
			out = append(out, "<"+x.Name.Local)
		}
	}
}

func TestAgentRefuses(t *testing.T) {
	good := func() Agent { return Agent{Label: "com.maia.x", Program: []string{"/bin/true"}} }
	if _, err := good().Plist(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Agent){
		"no label": func(a *Agent) { a.Label = "" }, "a path as label": func(a *Agent) { a.Label = "../x" }, "a space": func(a *Agent) { a.Label = "a b" },
		"no program": func(a *Agent) { a.Program = nil }, "relative": func(a *Agent) { a.Program[0] = "maia-dr" },
		"home": func(a *Agent) { a.Out = "~/x" }, "control": func(a *Agent) { a.Program = append(a.Program, "a\x01b") },
		"newline": func(a *Agent) { a.Program = append(a.Program, "a\nb") }, "not UTF-8": func(a *Agent) { a.Program = append(a.Program, "a\xffb") },
	} {
		a := good()
		spoil(&a)
		if b, err := a.Plist(); err == nil {
			t.Errorf("%s: %s", name, b)
		}
	}
	// What has a meaning in XML is text.
	a := good()
	a.Program = append(a.Program, "<&>\"'; rm -rf $HOME `x` é")
	b, err := a.Plist()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Read(elsewhere(t, b, "xml")); err != nil || !slices.Equal(got.Program, a.Program) {
		t.Errorf("%q, %v", got.Program, err)
	}
}

// What would get in an agent's way is taken out of the file it comes over; every other key stays, of any type.
func TestOver(t *testing.T) {
	existing, err := plist.Marshal(dict{
		"Label": label, "Program": "/usr/bin/python3", "ProgramArguments": []string{"python3", "--vault-password", "s3cret"}, "KeepAlive": dict{"SuccessfulExit": false}, "Disabled": true,
		"LimitLoadToSessionType": "Background", "Umask": 63, "WatchPaths": []string{"/x"}, "ThrottleInterval": 60, "Blob": []byte{1, 2},
		"EnvironmentVariables": dict{"VAULT_PASSWORD": "s3cret", "LANG": "de"},
	}, plist.BinaryFormat)
	if err != nil {
		t.Fatal(err)
	}
	b, changes, err := sample.Over(existing)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := parse(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, gone := range []string{"Program", "KeepAlive", "Disabled", "LimitLoadToSessionType"} {
		if _, ok := tree[gone]; ok || !slices.ContainsFunc(changes, func(c string) bool { return strings.HasPrefix(c, gone+":") }) {
			t.Errorf("%s: %v; %q", gone, tree[gone], changes)
		}
	}
	if show(tree["Umask"]) != "63" || show(tree["WatchPaths"]) != "(/x,)" || show(tree["ThrottleInterval"]) != "60" || !bytes.Equal(tree["Blob"].([]byte), []byte{1, 2}) ||
		show(tree["EnvironmentVariables"]) != "{LANG=de;}" || strings.Contains(strings.Join(changes, ""), "s3cret") {
		t.Errorf("%s\n%q", b, changes)
	}
	again, changes, err := sample.Over(b)
	if err != nil || !bytes.Equal(again, b) || len(changes) > 0 {
		t.Errorf("not the same again: %v, %v", changes, err)
	}
}

func TestRead(t *testing.T) {
	for entry, want := range map[string][]schedule.Clock{
		"<dict><key>Hour</key><integer>3</integer><key>Minute</key><integer>5</integer></dict>":                    {{Hour: 3, Minute: 5}},
		"<dict><key>Hour</key><integer>3</integer></dict>":                                                         {{Hour: 3}},
		"<array><dict><key>Minute</key><integer>3</integer></dict><dict/><string>x</string></array>":               nil,
		"<dict><key>Hour</key><integer>24</integer></dict>":                                                        nil,
		"<dict><key>Hour</key><integer>-1</integer></dict>":                                                        nil,
		"<dict><key>Hour</key><string>3</string></dict>":                                                           nil,
		"<array><dict><key>Weekday</key><integer>1</integer><key>Hour</key><integer>23</integer></dict></array>":   {{Hour: 23}},
		"<dict><key>Hour</key><integer>3</integer><key>Minute</key><integer>18446744073709551615</integer></dict>": nil,
	} {
		b := `<plist version="1.0"><dict><key>Label</key><string>x</string><key>StartCalendarInterval</key>` + entry + `</dict></plist>`
		if a, err := Read([]byte(b)); err != nil || !slices.Equal(a.At, want) {
			t.Errorf("%s: %v, %v", entry, a.At, err)
		}
	}
}

// FuzzRead: whatever is read can be read again when it is written, and nothing makes it crash.
func FuzzRead(f *testing.F) {
	b, err := sample.Plist()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`<plist><dict><key>Label</key><string>x</string><key>ProgramArguments</key><array><integer>1</integer></array></dict></plist>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := Read(b)
		if err != nil {
			return
		}
		first, _, err := sample.Over(b)
		if err != nil {
			return
		}
		again, err := Read(first)
		if err != nil || again.Label != label || !slices.Equal(again.At, sample.At) {
			t.Errorf("%+v becomes %+v, %v", a, again, err)
		}
	})
}
