package vault

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"howett.net/plist"
)

func redact(t *testing.T, kind Kind, text string) (string, error) {
	t.Helper()
	secrets, err := Find(kind, []byte(text))
	must(t, err)
	out, err := Redact(kind, []byte(text), secrets)
	return string(out), err
}

func TestRedactText(t *testing.T) {
	for _, c := range []struct {
		kind      Kind
		text, out string
	}{
		{Shell, "export TOKEN=\"a b1\" # x\r\nX=1", "export TOKEN=\"MAIA-VAULT:TOKEN\" # x\r\nX=1"},
		{Shell, "TOKEN='a'\"b\"c; X=1\n", "TOKEN=MAIA-VAULT:TOKEN; X=1\n"},
		{Shell, "TOKEN=abcd1\necho abcd1 | x abcd1\n", "TOKEN=MAIA-VAULT:TOKEN\necho MAIA-VAULT:TOKEN | x MAIA-VAULT:TOKEN\n"},
		{Shell, "A_TOKEN=abcd\nA_TOKEN=abcdef\n", "A_TOKEN=MAIA-VAULT:A_TOKEN\nA_TOKEN=MAIA-VAULT:A_TOKEN~2\n"},
		{Shell, "TOKEN=x\nexit\n", "TOKEN=MAIA-VAULT:TOKEN\nexit\n"},
		{Shell, "TOKEN=$'a\\x41b'\n", "TOKEN=$'MAIA-VAULT:TOKEN'\n"},
		{Shell, "alias x='TOKEN=abc c'\nMAIL=a@b.org\n", "alias x='TOKEN=MAIA-VAULT:TOKEN c'\nMAIL=a@b.org\n"},
		{Shell, "x\xff\xfe\nTOKEN=abc\x00d\n", "x\xff\xfe\nTOKEN=MAIA-VAULT:TOKEN\n"},
		{GitConfig, "[remote \"o\"]\n\turl = https://u:pw12@h/x\n", "[remote \"o\"]\n\turl = https://u:MAIA-VAULT:remote.o.url@h/x\n"},
		{Settings, `{"password": "a\"b\u0041", "pin_password": 1234}`, `{"password": "MAIA-VAULT:password", "pin_password": "MAIA-VAULT:pin_password"}`},
		{Settings, "token: abc # x\nb: 1\n", "token: MAIA-VAULT:token # x\nb: 1\n"},
		{Settings, "api_key: |\n  one1\n  two2\nb: 1\n", "api_key: |\n  MAIA-VAULT:api_key\nb: 1\n"},
		{Settings, "[a]\ntoken = \"abc\"\n", "[a]\ntoken = \"MAIA-VAULT:a.token\"\n"},
		{Settings, "nothing: here\n", "nothing: here\n"},
	} {
		out, err := redact(t, c.kind, c.text)
		if err != nil || out != c.out {
			t.Errorf("%v %q became %q, want %q: %v", c.kind, c.text, out, c.out, err)
		}
	}
}

func TestRedactPlist(t *testing.T) {
	text := xmlPlist(`<key>Label</key><string>com.maia.x</string><!-- OLD_TOKEN=abcdef -->
<key>ProgramArguments</key><array><string>/bin/x</string><string>--token=tok1</string><string>--secret</string><string>sec1 &lt;</string>
<string>https://u:pw12@h.org</string></array><key>EnvironmentVariables</key><dict><key>A_KEY</key><string>key1</string><key>COPY</key><string>[key1]</string>
<key>PIN_PASSWORD</key><integer>1234</integer><key>PATH</key><string>/bin</string></dict><key>KeepAlive</key><true/><key>Nice</key><integer>-5</integer>
<key>D</key><date>2025-01-02T03:04:05Z</date><key>R</key><real>0.1</real><key>B</key><data>AAH+/w==</data><key>StartCalendarInterval</key><dict><key>Hour</key><integer>3</integer></dict>`)
	for form, b := range map[int]string{plist.XMLFormat: text, plist.BinaryFormat: binaryOf(t, text)} {
		out, err := redact(t, Plist, b)
		if err != nil {
			t.Errorf("%v: %v", form, err)
			continue
		}
		for _, v := range []string{"tok1", "sec1", "pw12", "key1", "1234", "abcdef"} {
			if strings.Contains(out, v) {
				t.Errorf("%v: a value remains", form)
			}
		}
		var got, want map[string]any
		format, err := plist.Unmarshal([]byte(out), &got)
		must(t, err)
		if format != form || form == plist.XMLFormat && !strings.HasSuffix(out, "</plist>\n") {
			t.Errorf("%v: the form is %v", form, format)
		}
		_, err = plist.Unmarshal([]byte(b), &want)
		must(t, err)
		args := want["ProgramArguments"].([]any)
		args[1], args[3], args[4] = "--token=MAIA-VAULT:token", "MAIA-VAULT:secret", "https://u:MAIA-VAULT:url-password@h.org"
		env := want["EnvironmentVariables"].(map[string]any)
		env["A_KEY"], env["COPY"], env["PIN_PASSWORD"] = "MAIA-VAULT:A_KEY", "[MAIA-VAULT:A_KEY]", "MAIA-VAULT:PIN_PASSWORD"
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%v: got %v, want %v", form, got, want)
		}
	}
}

// TestRedactRefuses holds that no copy is made where a value would remain, and that the error does not show it.
func TestRedactRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		kind Kind
		text string
		want error
	}{
		"a value in its own name":    {Shell, "DOCKER_PASSWORD=pass1\nX=\"\"\nDOCKER_PASSWORD=SWOR\n", ErrRemains},
		"a value in the word for it": {Settings, "token: VAULT\n", ErrRemains},
		"a key of a property list":   {Plist, xmlPlist("<key>TOKEN</key><string>Labe</string><key>Label</key><string>x</string>"), ErrRemains},
	} {
		out, err := redact(t, c.kind, c.text)
		if !errors.Is(err, c.want) || out != "" {
			t.Errorf("%s: %q, %v", name, out, err)
		}
		if strings.Contains(fmt.Sprint(err), "SWOR") {
			t.Errorf("%s: the error shows it: %v", name, err)
		}
	}
	for _, kind := range []Kind{Python, Env, Netrc, Text} {
		if out, err := Redact(kind, []byte("TOKEN=abc"), nil); err == nil || out != nil {
			t.Errorf("%v is redacted", kind)
		}
	}
	if _, err := Redact(Plist, []byte("no property list"), nil); !errors.Is(err, ErrUnreadable) {
		t.Errorf("no property list: %v", err)
	}
	if _, err := Find(99, nil); err == nil {
		t.Error("kind 99 is known")
	}
}

func TestRedactURLs(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "x": "x", "git+https://u:p@h/x": "git+https://h/x", "https://tok@h": "https://h", "ssh://git@h/x": "ssh://git@h/x",
		"a https://u:p@w@h b": "a https://h b", "https://${U}:${P}@h": "https://${U}:${P}@h", "mail@h": "mail@h",
	} {
		if got := RedactURLs([]byte(in)); !bytes.Equal(got, []byte(want)) {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}
