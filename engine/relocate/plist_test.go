package relocate

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"howett.net/plist"
)

const head = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
`

// Everything that is no string stays, to the byte.
func TestXMLInPlace(t *testing.T) {
	const body = "<dict >\r\n<!-- <string>/Users/naythan</string> --><key>/Users/naythan</key><string\n>\n/Users/naythan/git/maia/x\t</string >\n" +
		"<key>a</key><array><string/><string></string><string>&quot;/Users/naythan&quot; &amp; &#38;</string><data>L1VzZXJz</data><date>2024-03-09T08:00:00Z</date>" +
		"<real>0.2</real><integer>0x1f</integer></array>\n<key>b</key><dict><key>/usr/local/bin</key><true/></dict><key>c</key><string>/usr/local/bin:/Users/naythan2</string></dict></plist>"
	want := strings.NewReplacer("\n/Users/naythan/git/maia/x\t", "\n/srv/R&amp;D &lt;maia&gt;/x\t", "&quot;/Users/naythan&quot;", "&quot;/Users/kim&quot;",
		"<string>/usr/local/bin:", "<string>/opt/homebrew/bin:").Replace(body)
	out, changes, err := moved().Plist([]byte(head + body))
	if err != nil || string(out) != head+want {
		t.Fatalf("%v\n%s\nwant\n%s", err, out, want)
	}
	lines := Diff(changes)
	if len(lines) != 6 || lines[2] != `- 8 "/Users/naythan" & &` || lines[3] != `+ 8 "/Users/kim" & &` {
		t.Errorf("%q", lines)
	}
	again, changes, err := moved().Plist(out)
	if err != nil || !bytes.Equal(again, out) || changes != nil {
		t.Errorf("once more: %v, %v", changes, err)
	}
}

func TestPlistRefused(t *testing.T) {
	for what, text := range map[string]string{
		"nothing":   "",
		"text":      "/Users/naythan",
		"cut off":   head + "<dict><key>a</key><string>/Users/naythan",
		"CDATA":     head + "<dict><key>a</key><string><![CDATA[/Users/naythan]]></string></dict></plist>",
		"a comment": head + "<dict><key>a</key><string>/Users/<!-- -->naythan</string></dict></plist>",
		"a string":  head + "<string>/Users/naythan</string></plist>",
		"control":   string(binary(t, map[string]any{"a": "/Users/naythan", "b": "\x01"})),
	} {
		out, changes, err := moved().Plist([]byte(text))
		if !errors.Is(err, ErrPlist) || string(out) != text || changes != nil {
			t.Errorf("%s: %q, %v, %v", what, out, changes, err)
		}
	}
	// Elsewhere, CDATA and declarations are passed over.
	const odd = "<!DOCTYPE plist [ <!-- ' --> <!ELEMENT string (#PCDATA)> ]>\n<plist><!-- it's --><dict><key><![CDATA[<string>]]></key><string>/Users/naythan</string></dict></plist>"
	if out, _, err := moved().Plist([]byte(odd)); err != nil || string(out) != strings.Replace(odd, "naythan", "kim", 1) {
		t.Errorf("%s, %v", out, err)
	}
}

func binary(t testing.TB, v any) []byte {
	t.Helper()
	b, err := plist.Marshal(v, plist.BinaryFormat)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A binary list is written as plutil writes it, or not at all.
func TestBinaryBecomesXML(t *testing.T) {
	v := map[string]any{
		"b": "/Users/naythan & <co> \"'", "a": []any{}, "B": map[string]any{}, "c": []any{true, false, int64(-5), uint64(18446744073709551615), 0.2, 1e300, 3.0},
		"&k": map[string]any{"data": bytes.Repeat([]byte("Maia"), 20), "none": []byte{}, "one": []byte{0xff}}, "t": time.Date(2024, 3, 9, 8, 0, 0, 0, time.UTC), "é": "",
	}
	const want = head + `<dict>
	<key>&amp;k</key>
	<dict>
		<key>data</key>
		<data>
		TWFpYU1haWFNYWlhTWFpYU1haWFNYWlhTWFpYU1haWFNYWlhTWFpYU1haWFN
		YWlhTWFpYU1haWFNYWlhTWFpYU1haWFNYWlhTWFpYU1haWE=
		</data>
		<key>none</key>
		<data>
		</data>
		<key>one</key>
		<data>
		/w==
		</data>
	</dict>
	<key>B</key>
	<dict/>
	<key>a</key>
	<array/>
	<key>b</key>
	<string>/Users/kim &amp; &lt;co&gt; "'</string>
	<key>c</key>
	<array>
		<true/>
		<false/>
		<integer>-5</integer>
		<integer>18446744073709551615</integer>
		<real>0.20000000000000001</real>
		<real>1.0000000000000001e+300</real>
		<real>3</real>
	</array>
	<key>t</key>
	<date>2024-03-09T08:00:00Z</date>
	<key>é</key>
	<string></string>
</dict>
</plist>
`
	in := binary(t, v)
	out, changes, err := moved().Plist(in)
	if err != nil || string(out) != want {
		t.Errorf("%v\n%s\nwant\n%s", err, out, want)
	}
	if !slices.Equal(Diff(changes), []string{"- " + v["b"].(string), `+ /Users/kim & <co> "'`}) {
		t.Errorf("%q", Diff(changes))
	}
	v["b"] = "/Users/naythan2"
	in = binary(t, v)
	if out, changes, err := moved().Plist(in); err != nil || changes != nil || !bytes.Equal(out, in) {
		t.Errorf("%v, %v: it was not left as it is", changes, err)
	}
}

func TestPlistLeftovers(t *testing.T) {
	v := map[string]any{"a": "mail naythan@x", "b": []any{"naythan2", "/tmp/naythan"}, "naythan": "x", "paths": map[string]any{"/Users/naythan/x": true, "y": false}}
	text, err := plist.MarshalIndent(v, plist.XMLFormat, "\t")
	if err != nil {
		t.Fatal(err)
	}
	for what, b := range map[string][]byte{"XML": text, "binary": binary(t, v)} {
		left := moved().PlistLeftovers(b)
		if len(left) != 3 || !left[2].Key || left[2].Text != "/Users/naythan/x" || left[0].Text != "mail naythan@x" || left[1].Text != "/tmp/naythan" || (left[0].Line > 0) != (what == "XML") {
			t.Errorf("%s: %v", what, left)
		}
	}
}
