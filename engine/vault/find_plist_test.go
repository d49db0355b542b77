package vault

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"howett.net/plist"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const plistHead = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict>
`

// xmlPlist makes a property list of the keys given, in XML.
func xmlPlist(body string) string { return plistHead + body + "\n</dict></plist>\n" }

// agentPlist makes an agent that runs a command.
func agentPlist(label string, args ...string) string {
	body := "<key>Label</key><string>" + label + "</string><key>ProgramArguments</key><array>"
	for _, a := range args {
		body += "<string>" + a + "</string>"
	}
	return xmlPlist(body + "</array>")
}

// binaryOf turns a property list into its binary form.
func binaryOf(t testing.TB, text string) string {
	t.Helper()
	var v any
	_, err := plist.Unmarshal([]byte(text), &v)
	must(t, err)
	b, err := plist.Marshal(v, plist.BinaryFormat)
	must(t, err)
	return string(b)
}

func TestPlistSecrets(t *testing.T) {
	env := func(pairs string) string {
		return xmlPlist("<key>Label</key><string>com.maia.x</string><key>EnvironmentVariables</key><dict>" + pairs + "</dict>")
	}
	for text, want := range map[string]string{
		env("<key>NOTION_API_KEY</key><string>secret_x</string><key>PATH</key><string>/bin</string>"): "NOTION_API_KEY",
		env("<key>TOKEN</key><string></string><key>KEYBOARD</key><string>us</string>"):                "",
		env("<key>PIN_PASSWORD</key><integer>1234</integer>"):                                         "PIN_PASSWORD",
		env("<key>USE_TOKEN</key><true/>"):                                                            "",
		env("<key>SECRET</key><data>c2VjcmV0MQ==</data>"):                                             "SECRET",
		agentPlist("x", "/usr/bin/python3", "/x.py", "--vault-password", "hunter2"):                   "vault-password",
		agentPlist("x", "/usr/bin/python3", "--vault-password", "ENV:MAIA_VAULT_PASSWORD"):            "",
		agentPlist("x", "/usr/bin/python3", "--token", "--verbose"):                                   "",
		agentPlist("x", "/usr/bin/python3", "--token=abc"):                                            "token",
		agentPlist("x", "/bin/sh", "-c", "API_KEY=abc exec run"):                                      "API_KEY",
		agentPlist("x", "/usr/bin/curl", "https://u:p@example.org"):                                   "url-password",
		agentPlist("x", "/usr/local/bin/skhd", "-c", "/Users/x/.skhdrc"):                              "",
		xmlPlist("<key>Sockets</key><dict><key>SecureSocketWithKey</key><string>X</string></dict>"):   "",
		xmlPlist("<!-- <key>OLD_TOKEN</key><string>abc</string> -->"):                                 "OLD_TOKEN",
		xmlPlist("<!-- export OLD_SECRET=abc -->"):                                                    "OLD_SECRET",
		xmlPlist("<key>TOKEN</key><string>abc</string><key>TOKEN</key><string></string>"):             "TOKEN",
		xmlPlist("<key>A</key><array><dict><key>apiKey</key><string>x</string></dict></array>"):       "apiKey",
	} {
		for form, b := range map[string]string{"XML": text, "binary": binaryOf(t, text)} {
			if form == "binary" && (strings.Contains(text, "<!-- ") || strings.Count(text, "TOKEN<") > 1) {
				continue // what a binary list cannot have
			}
			if got := strings.Join(namesIn(t, Plist, b), " "); got != want {
				t.Errorf("%s %s: found %q, want %q", form, text[len(plistHead):], got, want)
			}
		}
	}
}

// nestedPlist makes a binary property list: a dictionary of one key, whose value is an array nested to a depth, each level of
// which refers to the next so many times.
func nestedPlist(depth, times int) string {
	b := []byte("bplist00")
	var offsets []int
	object := func(tag byte, refs ...int) {
		offsets = append(offsets, len(b))
		b = append(b, tag)
		for _, ref := range refs {
			b = binary.BigEndian.AppendUint16(b, uint16(ref))
		}
	}
	object(0xd1, depth+1, 1)
	for i := range depth {
		object(0xa0|byte(times), slices.Repeat([]int{i + 2}, times)...)
	}
	b[len(b)-1]++ // the last array holds the string after the key
	object(0x51)
	b = append(b, 'k')
	object(0x51)
	b = append(b, 'v')
	if times > 1 {
		// Both references of the last array.
		b[offsets[depth]+2]++
	}
	return trailer(b, offsets)
}

// trailer ends a binary property list whose references and offsets have two bytes.
func trailer(b []byte, offsets []int) string {
	table := len(b)
	for _, at := range offsets {
		b = binary.BigEndian.AppendUint16(b, uint16(at))
	}
	b = append(b, 0, 0, 0, 0, 0, 0, 2, 2)
	b = binary.BigEndian.AppendUint64(b, uint64(len(offsets)))
	b = binary.BigEndian.AppendUint64(b, 0)
	return string(binary.BigEndian.AppendUint64(b, uint64(table)))
}
func TestNestedBinaryPlistIsRead(t *testing.T) {
	for _, depth := range []int{1, 3, 10} {
		top, err := ReadPlist([]byte(nestedPlist(depth, 2)))
		must(t, err)
		v := top["k"]
		for range depth {
			v = v.([]any)[1]
		}
		if v != "v" {
			t.Errorf("depth %d: %v", depth, top)
		}
	}
}
func TestPlistsThatAreRefused(t *testing.T) {
	deep := strings.Repeat("<array>", 5000) + strings.Repeat("</array>", 5000)
	for name, text := range map[string]string{
		"empty": "", "text": "hello", "OpenStep": `{ Label = "com.maia.x"; TOKEN = "abc"; }`, "JSON": `{"Label":"x"}`,
		"no dictionary": `<?xml version="1.0"?><plist><array/></plist>`, "cut": agentPlist("x", "y")[:200], "no plist": "<?xml version=\"1.0\"?><html/>",
		"deep": xmlPlist("<key>a</key>" + deep), "large": xmlPlist("<key>a</key><string>" + strings.Repeat("x", MaxPlist) + "</string>"),
		"binary cut": binaryOf(t, agentPlist("x", "y"))[:50], "binary short": "bplist00", "bomb": nestedPlist(40, 2), "deep binary": nestedPlist(3000, 1),
		"itself":         trailer([]byte("bplist00\xa1\x00\x00"), []int{8}),
		"itself, later":  trailer([]byte("bplist00\xa1\x00\x01\xa1\x00\x00"), []int{8, 11}),
		"no such object": trailer([]byte("bplist00\xa1\x00\x09"), []int{8}),
		"bad key":        trailer([]byte("bplist00\xd1\x00\x01\x00\x01\x09"), []int{8, 13}),
	} {
		if top, err := ReadPlist([]byte(text)); !errors.Is(err, ErrUnreadable) {
			t.Errorf("%s: %v, %v", name, top, err)
		}
	}
}
