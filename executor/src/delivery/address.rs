//! Where tenants may have the service connect to: public addresses, over https. What a name stands for is checked when
//! it is connected to (see [`super::names`]).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::Url;

/// Characters of the longest URL.
const MOST_CHARS: usize = 2_048;

/// Networks of IPv4 that are not public: IANA's registry of special addresses, multicast, and what is reserved.
const NOT_PUBLIC_V4: [(Ipv4Addr, u32); 18] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 31, 196, 0), 24),
    (Ipv4Addr::new(192, 52, 193, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(192, 175, 48, 0), 24),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// The only network of IPv6 that is given out.
const PUBLIC_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// What of it is not public: protocols (Teredo among them), documentation, 6to4, which has an IPv4 address in it, and
/// AS112, which answers for private networks.
const NOT_PUBLIC_V6: [(Ipv6Addr, u32); 5] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0x0db8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x2620, 0x004f, 0x8000, 0, 0, 0, 0, 0), 48),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

fn in_v4(ip: Ipv4Addr, (network, bits): (Ipv4Addr, u32)) -> bool {
    (ip.to_bits() ^ network.to_bits()).leading_zeros() >= bits
}

fn in_v6(ip: Ipv6Addr, (network, bits): (Ipv6Addr, u32)) -> bool {
    (ip.to_bits() ^ network.to_bits()).leading_zeros() >= bits
}

/// Whether anybody on the internet could be there, and nobody of our own network is.
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !NOT_PUBLIC_V4.iter().any(|network| in_v4(ip, *network)),
        // Mapped and translated IPv4 addresses are outside what is given out.
        IpAddr::V6(ip) => in_v6(ip, PUBLIC_V6) && !NOT_PUBLIC_V6.iter().any(|network| in_v6(ip, *network)),
    }
}

/// Which addresses are permitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// This machine too, and without TLS: for tests.
    pub allow_loopback: bool,
}

/// Why a URL is not taken. The texts are for the tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// No URL.
    #[error(
        "`url` cannot be read: write an address such as `https://example.com/hooks`, of at most {MOST_CHARS} characters"
    )]
    Malformed,
    /// Not https.
    #[error("`url` is not encrypted: begin it with `https://`")]
    Scheme,
    /// With a name or a password.
    #[error("`url` has a name or a password in it: leave them out, and have the receiver verify the signature")]
    UserInfo,
    /// With a fragment.
    #[error("`url` has a `#` in it: leave out what stands behind it, nobody would be sent that")]
    Fragment,
    /// Not on the internet.
    #[error("`url` is private, of this machine, or reserved: give an address that the internet reaches")]
    NotPublic,
}

impl Policy {
    /// Whether there may be a connection to it.
    pub fn permits(self, ip: IpAddr) -> bool {
        is_public(ip) || (self.allow_loopback && ip.is_loopback())
    }

    /// The URL of a text. What a name stands for is checked when it is connected to.
    ///
    /// # Errors
    /// If it is none, or none that may be connected to.
    pub fn check(self, text: &str) -> Result<Url, BadAddress> {
        // The parser would leave them out.
        let odd = |c: char| c.is_control() || c.is_whitespace() || c == '\\';
        if text.len() > MOST_CHARS || text.contains(odd) {
            return Err(BadAddress::Malformed);
        }
        let url = Url::parse(text).map_err(|_| BadAddress::Malformed)?;
        let host = url.host_str().filter(|host| !host.trim_matches('.').is_empty()).ok_or(BadAddress::Malformed)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BadAddress::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(BadAddress::Fragment);
        }
        // The parser has written every form of an IPv4 address in the one with four decimal numbers.
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        let name = host.trim_end_matches('.');
        let local = name == "localhost" || name.ends_with(".localhost");
        let of_this_machine = local || literal.is_some_and(|ip| ip.is_loopback());
        match url.scheme() {
            "https" => {}
            "http" if self.allow_loopback && of_this_machine => {}
            _ => return Err(BadAddress::Scheme),
        }
        let permitted = literal.map_or(!local || self.allow_loopback, |ip| self.permits(ip));
        if permitted { Ok(url) } else { Err(BadAddress::NotPublic) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: Policy = Policy { allow_loopback: false };
    const LOOSE: Policy = Policy { allow_loopback: true };

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00:1450:4001:80b::200e",
            "2001:200::1",
            "2003::1",
            "2620:4f:7fff:ffff::1",
            "2620:4f:8001::",
            "192.175.47.255",
            "192.175.49.0",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for other in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.0",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.0",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.31.196.1",
            "192.52.193.1",
            "192.88.99.1",
            "192.168.255.255",
            "192.175.48.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::ffff:0:8.8.8.8",
            "64:ff9b::10.0.0.1",
            "64:ff9b::8.8.8.8",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:0:53aa:64c:0:0:0:1",
            "2001:10::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:808:808::1",
            "2620:4f:8000::1",
            "2620:4f:8000:ffff::1",
            "3fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(other.parse().unwrap()), "{other}");
        }
    }

    #[test]
    fn urls_that_could_reach_the_inside_are_refused() {
        use BadAddress::{Fragment, Malformed, NotPublic, Scheme, UserInfo};
        for (url, error) in [
            ("", Malformed),
            ("example.com", Malformed),
            ("https://", Malformed),
            ("https://exa mple.com", Malformed),
            ("https://example.com/\nhost: inside", Malformed),
            ("https:\\\\example.com", Malformed),
            ("https://256.1.1.1", Malformed),
            ("https://example.com:99999", Malformed),
            ("http://example.com", Scheme),
            ("ftp://example.com", Scheme),
            ("http://127.0.0.1:80", Scheme),
            ("https://user@example.com", UserInfo),
            ("https://user:password@example.com", UserInfo),
            ("https://example.com:443@127.0.0.1", UserInfo),
            ("https://example.com/#fragment", Fragment),
            ("https://localhost", NotPublic),
            ("https://LOCALHOST.", NotPublic),
            ("https://a.localhost:8443/x", NotPublic),
            ("https://127.0.0.1", NotPublic),
            ("https://127.1", NotPublic),
            ("https://2130706433", NotPublic),
            ("https://0x7f000001", NotPublic),
            ("https://0177.0.0.1", NotPublic),
            ("https://0", NotPublic),
            ("https://①②⑦.0.0.1", NotPublic),
            ("https://%31%32%37.0.0.1", NotPublic),
            ("https://0x7f.0.0.1", NotPublic),
            ("https://0x7F.1:8443", NotPublic),
            ("https://017700000001", NotPublic),
            ("https://127.0.0.1.", NotPublic),
            ("https://127。0。0。1", NotPublic),
            ("https://①⑥⑨.254.169.254", NotPublic),
            ("https://0xa9fea9fe", NotPublic),
            ("https://10.1", NotPublic),
            ("https://100.64.0.1:443/", NotPublic),
            ("https://192.0.0.1", NotPublic),
            ("https://192.0.2.1", NotPublic),
            ("https://198.18.0.1", NotPublic),
            ("https://224.0.0.1", NotPublic),
            ("https://255.255.255.255", NotPublic),
            ("https://[::127.0.0.1]", NotPublic),
            ("https://[0:0:0:0:0:ffff:7f00:1]", NotPublic),
            ("https://[64:ff9b::169.254.169.254]", NotPublic),
            ("https://[64:ff9b:1::a00:1]", NotPublic),
            ("https://[2001:0:53aa:64c::1]", NotPublic),
            ("https://[2001:db8::1]", NotPublic),
            ("https://[2620:4f:8000::1]", NotPublic),
            ("https://[ff02::1]", NotPublic),
            ("https://[fe80::1%25eth0]", Malformed),
            ("https://[::1", Malformed),
            ("https://1.2.3.4.5", Malformed),
            ("https://0x100000000", Malformed),
            ("https://.", Malformed),
            ("//example.com", Malformed),
            ("https:", Malformed),
            ("javascript:alert(1)", Malformed),
            ("file:///etc/passwd", Malformed),
            ("gopher://example.com", Scheme),
            ("https://@127.0.0.1", NotPublic),
            ("https://:@127.0.0.1", NotPublic),
            ("https://169.254.169.254/latest/meta-data", NotPublic),
            ("https://10.0.0.1:8443", NotPublic),
            ("https://[::1]", NotPublic),
            ("https://[::]", NotPublic),
            ("https://[::ffff:127.0.0.1]", NotPublic),
            ("https://[::ffff:a00:1]:443", NotPublic),
            ("https://[64:ff9b::7f00:1]", NotPublic),
            ("https://[2002:7f00:1::]", NotPublic),
            ("https://[fe80::1]", NotPublic),
            ("https://[fd00:ec2::254]", NotPublic),
        ] {
            assert_eq!(STRICT.check(url).map(String::from), Err(error), "{url}");
        }
        assert_eq!(STRICT.check(&format!("https://example.com/{}", "a".repeat(MOST_CHARS))), Err(Malformed));
        for url in [
            "https://example.com/hooks?x=1",
            "https://example.com:8443/",
            "https://8.8.8.8/",
            "https://[2606:4700::1]/",
        ] {
            assert_eq!(STRICT.check(url).map(String::from), Ok(url.to_owned()));
        }
    }

    #[test]
    fn tests_may_have_this_machine_and_nothing_more() {
        for url in ["http://127.0.0.1:1/", "http://localhost:1/x", "http://[::1]/", "https://127.0.0.1/"] {
            assert!(LOOSE.check(url).is_ok(), "{url}");
        }
        for (url, error) in [
            ("http://example.com/", BadAddress::Scheme),
            ("http://10.0.0.1/", BadAddress::Scheme),
            ("https://10.0.0.1/", BadAddress::NotPublic),
            ("https://[::ffff:127.0.0.1]/", BadAddress::NotPublic),
        ] {
            assert_eq!(LOOSE.check(url).map(String::from), Err(error), "{url}");
        }
    }
}
