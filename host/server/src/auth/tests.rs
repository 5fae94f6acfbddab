use super::*;

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

fn config(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    change(&mut config);
    config
}

fn file(test: &str, text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("mosel-auth-{test}-{}", std::process::id()));
    std::fs::write(&path, text).unwrap();
    path
}

fn entry(name: &str, token: &str, rights: &str) -> String {
    let hash = hex::encode(digest(token));
    format!("[[token]]\nname = '{name}'\nsha256 = '{hash}'\ntenant = 'acme'\nrights = [{rights}]\nweight = 2\n")
}

#[test]
fn strangers_need_tokens_or_a_word_of_the_operator() {
    let outside: SocketAddr = "10.0.0.1:80".parse().unwrap();
    let error = Auth::new(&config(|_| {})).unwrap().listens(outside).unwrap_err().to_string();
    assert!(error.contains("mosel token new") && error.contains("auth.none = true"), "{error}");
    let anywhere = Auth::new(&config(|_| {})).unwrap().listens("0.0.0.0:80".parse().unwrap());
    assert!(anywhere.is_err());
    let admin = file("strangers", "0123456789abcdef");
    let with = |change: fn(&mut Config)| {
        let config = config(|config| {
            config.http.admin_token_file = admin.clone();
            change(config);
        });
        Auth::new(&config).unwrap().listens(outside)
    };
    assert!(with(|_| {}).is_err(), "an admin's token says nothing of who may submit");
    assert!(with(|config| config.auth.none = true).is_ok());
    std::fs::remove_file(admin).unwrap();
}

#[test]
fn a_token_opens_what_its_entry_says_and_a_broken_file_changes_nothing() {
    let tokens = file("tokens", &entry("web", "the token of the web", "'read'"));
    let auth = Auth::new(&config(|config| config.auth.tokens_file = tokens.clone())).unwrap();
    let web = auth.token("the token of the web", PEER).unwrap();
    assert_eq!((&*web.name, web.tenant.as_deref(), web.rights.has(Right::Submit)), ("web", Some("acme"), false));
    assert_eq!(auth.weights(), [("acme".into(), 2.0)]);
    for wrong in ["", "the token of the we", "the token of the web2", "The token of the web", "web"] {
        assert_eq!(auth.token(wrong, PEER), Err(TokenError::Wrong), "{wrong}");
    }
    std::fs::write(&tokens, "broken").unwrap();
    auth.reload();
    assert!(auth.token("the token of the web", PEER).is_ok());
    std::fs::write(&tokens, entry("new", "another", "'submit'")).unwrap();
    auth.reload();
    assert!(auth.token("the token of the web", PEER).is_err() && auth.token("another", PEER).is_ok());
    std::fs::remove_file(&tokens).unwrap();
    auth.reload();
    assert!(auth.token("another", PEER).is_ok());
}

#[test]
fn wrong_tokens_are_throttled_and_right_ones_are_not() {
    let tokens = file("throttled", &entry("web", "right", "'read'"));
    let config = config(|config| {
        config.auth.tokens_file = tokens.clone();
        config.auth.max_failures = 2;
    });
    let auth = Auth::new(&config).unwrap();
    std::fs::remove_file(tokens).unwrap();
    assert_eq!([(); 2].map(|()| auth.token("wrong", PEER)), [Err(TokenError::Wrong), Err(TokenError::Wrong)]);
    assert!(matches!(auth.token("wrong", PEER), Err(TokenError::Throttled(_))));
    assert!(auth.token("right", PEER).is_ok());
    assert_eq!(auth.token("wrong", "10.0.0.2".parse().unwrap()), Err(TokenError::Wrong));
}

#[test]
fn an_admins_token_is_long_enough_and_visible() {
    let read = |text: &str| {
        let path = file(&format!("admin-{}", text.len()), text);
        let token = admin_token(&path).map_err(|error| format!("{error:#}"));
        std::fs::remove_file(&path).unwrap();
        token
    };
    assert_eq!(read(" 0123456789abcdef\n"), Ok("0123456789abcdef".into()));
    assert!(read("\n").unwrap_err().contains("it is empty"));
    assert!(read("0123456789abcde").unwrap_err().contains("at least 16 bytes"));
    assert!(read("0123456789 abcdef").unwrap_err().contains("visible ASCII"));
    assert!(admin_token(Path::new("/no/such/file")).is_err());
}
