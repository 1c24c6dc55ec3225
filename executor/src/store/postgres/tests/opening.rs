//! Opening: databases and logins that are not what they should be.

use super::*;

pub(super) async fn refusal(options: &OpenOptions) -> OpenError {
    let error = PostgresStore::open(options).await.unwrap_err();
    let mut said = format!("{error} {error:?}");
    let mut source = std::error::Error::source(&error);
    while let Some(error) = source {
        said.push_str(&error.to_string());
        source = error.source();
    }
    // Of the servers of tests.
    assert!(!said.contains("pa ss/w@rd") && !said.contains("pa%20ss"), "{said}");
    error
}

#[tokio::test]
async fn a_login_that_may_do_too_much_or_too_little_is_refused() {
    let fixture = Fixture::new().await;
    let database = &fixture.database;
    fixture.psql("create role plain login password 'pa ss/w@rd'; grant connect on database rulebox to plain");
    for (login, fault) in
        [("postgres", "superuser"), ("rulebox_owner", "owns tables"), ("rulebox_review", "is no member of rulebox_app")]
    {
        let error = refusal(&OpenOptions { url: database.url_of(login).into(), ..options(database) }).await;
        assert!(error.to_string().contains(fault), "{login}: {error}");
        assert!(error.to_string().contains("RULEBOX_DATABASE__URL "), "{error}");
    }
    let error = refusal(&OpenOptions { platform_url: database.url().into(), ..options(database) }).await;
    assert!(error.to_string().contains("PLATFORM_URL is no member of rulebox_platform"), "{error}");
    let error = refusal(&OpenOptions { url: database.url_of("plain").into(), ..options(database) }).await;
    assert!(matches!(error, OpenError::NoTables("RULEBOX_DATABASE__URL")), "{error}");
    fixture.psql("grant rulebox_platform to rulebox_service");
    let error = refusal(&options(database)).await;
    assert!(error.to_string().contains("may cross tenants"), "{error}");
    fixture.psql("revoke rulebox_platform from rulebox_service; alter role rulebox_service bypassrls");
    let error = refusal(&options(database)).await;
    assert!(error.to_string().contains("bypasses row-level security"), "{error}");
}

#[tokio::test]
async fn a_wrong_address_or_password_is_told_without_showing_it() {
    let fixture = Fixture::new().await;
    let database = &fixture.database;
    for bad in [
        "",
        "pa ss/w@rd",
        "mysql://rulebox_service:pa ss/w@rd@127.0.0.1/rulebox",
        "postgresql://rulebox_service:pa%20ss@127.0.0.1:port/rulebox",
        "postgresql://rulebox_service@127.0.0.1/rulebox?pasword=pa%20ss",
        "postgresql://rulebox_service:pa%20ss@127.0.0.1/rulebox?sslmode=sometimes",
    ] {
        let error = refusal(&OpenOptions { url: bad.to_owned().into(), ..options(database) }).await;
        assert!(matches!(error, OpenError::Url(BadUrl("RULEBOX_DATABASE__URL"))), "{bad}: {error}");
        let error = migrate(&bad.to_owned().into(), PATIENCE).await.unwrap_err();
        assert!(matches!(error, MigrationError::Url(BadUrl("RULEBOX_DATABASE__MIGRATE_URL"))), "{bad}: {error}");
    }
    // The password of another login; a database that is not there; TLS where the server has none: no use waiting.
    let url = database.url();
    for wrong in
        [url.replace("%40rd", "%40rd2"), url.replace("/rulebox", "/no_database"), format!("{url}?sslmode=require")]
    {
        let began = Instant::now();
        let error = refusal(&OpenOptions { url: wrong.into(), ..options(database) }).await;
        assert!(matches!(error, OpenError::Connection { setting: "RULEBOX_DATABASE__URL", .. }), "{error:?}");
        assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    }
    let nobody = OpenOptions { patience: Duration::from_millis(300), ..options(&database.by_port(1)) };
    let error = refusal(&OpenOptions { acquire: Duration::from_millis(200), ..nobody }).await;
    assert!(matches!(error, OpenError::Connection { source: crate::store::Unavailable::Away(_), .. }), "{error:?}");
}

#[tokio::test]
async fn a_database_that_is_just_starting_is_waited_for() {
    let mut fixture = Fixture::new().await;
    fixture.server.crash();
    let database = fixture.database.clone();
    let opening = tokio::spawn(async move { PostgresStore::open(&options(&database)).await });
    // Long enough to be refused at least once; whether it was makes no difference to what must come out.
    tokio::time::sleep(Duration::from_millis(100)).await;
    fixture.server.begin_again();
    opening.await.unwrap().unwrap().close().await;
}

#[tokio::test]
async fn another_database_of_the_server_shares_the_roles() {
    let fixture = Fixture::new().await;
    fixture.psql("create database another owner rulebox_owner");
    let mut another = fixture.database.clone();
    another.name = "another".to_owned();
    migrate(&SecretString::from(another.migrate_url()), PATIENCE).await.unwrap();
    fixture.psql("grant connect on database another to rulebox_service, rulebox_review");
    open(&another).await.close().await;
}
