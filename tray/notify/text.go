package notify

import "regexp"

// address is a URL with what follows its host: errors of other programs may hold one with a token in it.
var address = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)([^/\s@]*@)?([^/\s?#]*)([^\s]*)`)

// hideCredentials leaves of every address in a text only scheme and host.
func hideCredentials(s string) string {
	return address.ReplaceAllStringFunc(s, func(u string) string {
		p := address.FindStringSubmatch(u)
		if p[2] == "" && p[4] == "" {
			return u
		}
		return p[1] + p[3] + "/…"
	})
}
