//! The tables, as `diesel print-schema` reads them from `migrations/`; `store_contract` compares both.

diesel::table! {
    organizations (id) {
        id -> Text,
        name -> Text,
        external_id -> Nullable<Text>,
        state -> Text,
        production_access -> Text,
        generation -> BigInt,
        created_at -> BigInt,
        time_zone -> Text,
        dev_centre_enabled_at -> Nullable<BigInt>,
        trial_started_at -> Nullable<BigInt>,
        trial_ends_at -> Nullable<BigInt>,
        production_use_case -> Nullable<Text>,
        production_requested_at -> Nullable<BigInt>,
        production_decided_at -> Nullable<BigInt>,
        production_reason -> Nullable<Text>,
        service_account_id -> Nullable<Text>,
    }
}

diesel::table! {
    subscriptions (organization_id) {
        organization_id -> Text,
        external_id -> Nullable<Text>,
        plan -> Text,
        full_seats -> Nullable<BigInt>,
        read_only_seats -> Nullable<BigInt>,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    domains (id) {
        id -> Text,
        organization_id -> Text,
        name -> Text,
        verified_at -> Nullable<BigInt>,
        created_at -> BigInt,
        verification_token -> Nullable<Text>,
        include_subdomains -> Nullable<Bool>,
        lost_at -> Nullable<BigInt>,
        checked_at -> Nullable<BigInt>,
        last_finding -> Nullable<Text>,
        failed_checks -> BigInt,
        next_check_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    users (id) {
        id -> Text,
        kind -> Text,
        email -> Nullable<Text>,
        email_verified_at -> Nullable<BigInt>,
        name -> Text,
        password_hash -> Nullable<Text>,
        state -> Text,
        operator -> Bool,
        external_id -> Nullable<Text>,
        created_at -> BigInt,
        wrong_passwords -> BigInt,
    }
}

diesel::table! {
    members (organization_id, user_id) {
        organization_id -> Text,
        user_id -> Text,
        role -> Text,
        licence -> Text,
        created_at -> BigInt,
        state -> Text,
        ends_at -> Nullable<BigInt>,
        address_lost_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    workspaces (id) {
        id -> Text,
        organization_id -> Text,
        name -> Text,
        external_id -> Nullable<Text>,
        created_at -> BigInt,
        is_service -> Bool,
        service_account_id -> Nullable<Text>,
    }
}

diesel::table! {
    workspace_members (workspace_id, user_id) {
        workspace_id -> Text,
        user_id -> Text,
        role -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    invitations (id) {
        id -> Text,
        organization_id -> Text,
        email -> Text,
        role -> Text,
        licence -> Text,
        member_ends_at -> Nullable<BigInt>,
        digest -> Text,
        state -> Text,
        created_by -> Text,
        created_at -> BigInt,
        expires_at -> BigInt,
        decided_at -> Nullable<BigInt>,
        accepted_by -> Nullable<Text>,
    }
}

diesel::table! {
    invitation_workspaces (invitation_id, workspace_id) {
        invitation_id -> Text,
        workspace_id -> Text,
        role -> Text,
    }
}

diesel::table! {
    join_requests (id) {
        id -> Text,
        organization_id -> Text,
        user_id -> Text,
        message -> Text,
        state -> Text,
        created_at -> BigInt,
        decided_by -> Nullable<Text>,
        decided_at -> Nullable<BigInt>,
        reason -> Nullable<Text>,
    }
}

diesel::table! {
    roles (id) {
        id -> Text,
        organization_id -> Text,
        name -> Text,
        description -> Text,
        permissions -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    api_keys (id) {
        id -> Text,
        organization_id -> Text,
        owner_id -> Text,
        environment -> Text,
        prefix -> Text,
        marker -> Text,
        public_id -> Text,
        name -> Text,
        description -> Text,
        reach -> Text,
        permission_level -> Text,
        organization_operations -> Bool,
        self_rotation -> Bool,
        state -> Text,
        state_reason -> Nullable<Text>,
        simulates -> Nullable<Text>,
        simulates_until -> Nullable<BigInt>,
        expires_at -> Nullable<BigInt>,
        last_used_at -> Nullable<BigInt>,
        created_by -> Text,
        created_at -> BigInt,
        revoked_by -> Nullable<Text>,
        revoked_at -> Nullable<BigInt>,
        owned_since -> BigInt,
        name_folded -> Text,
    }
}

diesel::table! {
    api_key_requests (id) {
        id -> Text,
        organization_id -> Text,
        requester_id -> Text,
        name -> Text,
        reason -> Text,
        environment -> Text,
        reach -> Text,
        workspaces -> Text,
        permission_level -> Text,
        expires_at -> Nullable<BigInt>,
        state -> Text,
        decided_by -> Nullable<Text>,
        decided_at -> Nullable<BigInt>,
        decision_reason -> Nullable<Text>,
        api_key_id -> Nullable<Text>,
        created_at -> BigInt,
    }
}

diesel::table! {
    hand_overs (id) {
        id -> Text,
        organization_id -> Text,
        api_key_id -> Text,
        email -> Text,
        digest -> Text,
        state -> Text,
        wrong_addresses -> BigInt,
        grace_seconds -> BigInt,
        secret_id -> Nullable<Text>,
        created_by -> Text,
        created_at -> BigInt,
        expires_at -> BigInt,
        used_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    api_key_transfers (id) {
        id -> Text,
        organization_id -> Text,
        api_key_id -> Text,
        from_id -> Text,
        to_id -> Text,
        offered_by -> Text,
        state -> Text,
        created_at -> BigInt,
        decided_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    retired_api_keys (id) {
        id -> Text,
        organization_id -> Text,
        name -> Text,
        owner_id -> Text,
        environment -> Text,
        last_used_at -> Nullable<BigInt>,
        created_at -> BigInt,
        ended_at -> BigInt,
    }
}

diesel::table! {
    api_key_workspaces (api_key_id, workspace_id) {
        api_key_id -> Text,
        workspace_id -> Text,
    }
}

diesel::table! {
    api_key_secrets (id) {
        id -> Text,
        api_key_id -> Text,
        public_id -> Text,
        digest -> Text,
        state -> Text,
        grace_seconds -> BigInt,
        created_by -> Text,
        created_at -> BigInt,
        first_used_at -> Nullable<BigInt>,
        last_used_at -> Nullable<BigInt>,
        last_used_from -> Nullable<Text>,
        expires_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    secret_disclosures (secret_id, user_id) {
        secret_id -> Text,
        user_id -> Text,
        shown_at -> BigInt,
    }
}

diesel::table! {
    applications (id) {
        id -> Text,
        organization_id -> Text,
        environment -> Text,
        name -> Text,
        client_type -> Text,
        access_token_format -> Text,
        scopes -> Text,
        service_account_id -> Nullable<Text>,
        state -> Text,
        created_by -> Text,
        created_at -> BigInt,
        deleted_at -> Nullable<BigInt>,
        grants -> Text,
        refresh_rotation -> Bool,
        refresh_idle_seconds -> Nullable<BigInt>,
        refresh_absolute_seconds -> Nullable<BigInt>,
        approval -> Text,
        approval_reason -> Nullable<Text>,
        verified_at -> Nullable<BigInt>,
        stopped_at -> Nullable<BigInt>,
        stopped_because -> Nullable<Text>,
        last_used_at -> Nullable<BigInt>,
        first_party -> Bool,
        approved_name -> Nullable<Text>,
        approved_scopes -> Nullable<Text>,
    }
}

diesel::table! {
    application_redirect_uris (application_id, uri) {
        application_id -> Text,
        uri -> Text,
    }
}

diesel::table! {
    approved_redirect_uris (application_id, uri) {
        application_id -> Text,
        uri -> Text,
    }
}

diesel::table! {
    application_secrets (id) {
        id -> Text,
        application_id -> Text,
        digest -> Text,
        state -> Text,
        created_at -> BigInt,
        hint -> Text,
        last_used_at -> Nullable<BigInt>,
        revoked_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    resource_servers (id) {
        id -> Text,
        name -> Text,
        environment -> Nullable<Text>,
        obligations -> Text,
        created_at -> BigInt,
        default_audience -> Bool,
    }
}

diesel::table! {
    resource_server_secrets (id) {
        id -> Text,
        resource_server_id -> Text,
        digest -> Text,
        state -> Text,
        created_at -> BigInt,
        hint -> Text,
        revoked_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    resources (uri) {
        uri -> Text,
        resource_server_id -> Text,
        created_at -> BigInt,
        uri_folded -> Text,
    }
}

diesel::table! {
    registration_tokens (id) {
        id -> Text,
        organization_id -> Text,
        environment -> Text,
        name -> Text,
        digest -> Text,
        state -> Text,
        max_clients -> BigInt,
        created_by -> Text,
        created_at -> BigInt,
        expires_at -> Nullable<BigInt>,
        last_used_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    registrations (application_id) {
        application_id -> Text,
        registration_token_id -> Nullable<Text>,
        management_digest -> Nullable<Text>,
        metadata -> Text,
        metadata_digest -> Nullable<Text>,
        created_at -> BigInt,
        last_used_at -> BigInt,
    }
}

diesel::table! {
    sessions (id) {
        id -> Text,
        digest -> Text,
        user_id -> Text,
        created_at -> BigInt,
        last_seen_at -> BigInt,
        expires_at -> BigInt,
        confined_to -> Nullable<Text>,
        proven_at -> BigInt,
    }
}

diesel::table! {
    authorization_requests (id) {
        id -> Text,
        session_id -> Text,
        application_id -> Text,
        redirect_uri -> Text,
        scopes -> Text,
        resources -> Text,
        state -> Nullable<Text>,
        code_challenge -> Nullable<Text>,
        expires_at -> BigInt,
        answer -> Nullable<Text>,
    }
}

diesel::table! {
    consents (id) {
        id -> Text,
        user_id -> Text,
        application_id -> Text,
        organization_id -> Text,
        scopes -> Text,
        reach -> Text,
        state -> Text,
        created_at -> BigInt,
        updated_at -> BigInt,
        revoked_at -> Nullable<BigInt>,
        application_name -> Text,
        named_at -> BigInt,
    }
}

diesel::table! {
    consent_workspaces (consent_id, workspace_id) {
        consent_id -> Text,
        workspace_id -> Text,
    }
}

diesel::table! {
    authorizations (id) {
        id -> Text,
        kind -> Text,
        application_id -> Text,
        organization_id -> Text,
        user_id -> Text,
        environment -> Text,
        scopes -> Text,
        reach -> Text,
        state -> Text,
        redirect_uri -> Nullable<Text>,
        code_challenge -> Nullable<Text>,
        code_digest -> Nullable<Text>,
        code_expires_at -> Nullable<BigInt>,
        wrong_verifiers -> BigInt,
        created_at -> BigInt,
        expires_at -> Nullable<BigInt>,
        revoked_at -> Nullable<BigInt>,
        revoked_because -> Nullable<Text>,
        consent_id -> Nullable<Text>,
        session_id -> Nullable<Text>,
        resources -> Text,
        last_used_at -> Nullable<BigInt>,
        row_expires_at -> Nullable<BigInt>,
        marked_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    authorization_workspaces (authorization_id, workspace_id) {
        authorization_id -> Text,
        workspace_id -> Text,
    }
}

diesel::table! {
    refresh_tokens (id) {
        id -> Text,
        authorization_id -> Text,
        digest -> Text,
        state -> Text,
        created_at -> BigInt,
        expires_at -> BigInt,
        consumed_at -> Nullable<BigInt>,
        generation -> BigInt,
        access_token_id -> Nullable<Text>,
        access_token_expires_at -> Nullable<BigInt>,
        received_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    access_tokens (id) {
        id -> Text,
        authorization_id -> Text,
        digest -> Text,
        scopes -> Text,
        created_at -> BigInt,
        expires_at -> BigInt,
        resources -> Text,
    }
}

diesel::table! {
    revoked_tokens (id) {
        id -> Text,
        expires_at -> BigInt,
    }
}

diesel::table! {
    signing_keys (kid) {
        kid -> Text,
        algorithm -> Text,
        sealed_private_key -> Text,
        created_at -> BigInt,
        signs_from -> BigInt,
        replaces -> Text,
        published_at -> Nullable<BigInt>,
        longest_token_seconds -> BigInt,
        lower_from -> Nullable<BigInt>,
    }
}

diesel::table! {
    identity_providers (id) {
        id -> Text,
        organization_id -> Text,
        issuer -> Text,
        client_id -> Text,
        sealed_client_secret -> Text,
        name -> Text,
        enforced -> Bool,
        created_at -> BigInt,
    }
}

diesel::table! {
    identities (realm, issuer, subject) {
        realm -> Text,
        issuer -> Text,
        subject -> Text,
        user_id -> Text,
        created_at -> BigInt,
        last_used_at -> BigInt,
    }
}

diesel::table! {
    operator_tokens (id) {
        id -> Text,
        digest -> Text,
        hint -> Text,
        name -> Text,
        permissions -> Text,
        user_id -> Text,
        created_at -> BigInt,
        expires_at -> Nullable<BigInt>,
        last_used_at -> Nullable<BigInt>,
        revoked_at -> Nullable<BigInt>,
        made_by -> Nullable<Text>,
    }
}

diesel::table! {
    management_tokens (id) {
        id -> Text,
        organization_id -> Text,
        user_id -> Text,
        name -> Text,
        digest -> Text,
        hint -> Text,
        permissions -> Text,
        reach -> Text,
        created_at -> BigInt,
        expires_at -> BigInt,
        last_used_at -> Nullable<BigInt>,
        revoked_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    management_token_workspaces (management_token_id, workspace_id) {
        management_token_id -> Text,
        workspace_id -> Text,
    }
}

diesel::table! {
    clock_records (name) {
        name -> Text,
        trusted_at -> BigInt,
        boot -> Text,
        uptime_millis -> BigInt,
        doubted_at -> Nullable<BigInt>,
        dated_until -> BigInt,
    }
}

diesel::table! {
    foreign_writes (name) {
        name -> Text,
        count -> BigInt,
    }
}

diesel::table! {
    idempotency_keys (caller, route, idempotency_key) {
        caller -> Text,
        route -> Text,
        idempotency_key -> Text,
        fingerprint -> Text,
        subject_id -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    audit_events (id) {
        id -> Text,
        organization_id -> Nullable<Text>,
        actor_id -> Nullable<Text>,
        event -> Text,
        subject_id -> Text,
        detail -> Text,
        created_at -> BigInt,
        credential_id -> Nullable<Text>,
    }
}

diesel::table! {
    upkeep (name) {
        name -> Text,
        at -> BigInt,
    }
}

diesel::table! {
    limit_windows (name) {
        name -> Text,
        owner -> Text,
        window_millis -> BigInt,
        admissions -> Text,
        ends_at -> BigInt,
    }
}

diesel::joinable!(domains -> organizations (organization_id));
diesel::joinable!(subscriptions -> organizations (organization_id));
diesel::joinable!(roles -> organizations (organization_id));
diesel::joinable!(api_key_secrets -> api_keys (api_key_id));
diesel::joinable!(invitations -> organizations (organization_id));
diesel::joinable!(invitation_workspaces -> invitations (invitation_id));
diesel::joinable!(join_requests -> organizations (organization_id));
diesel::joinable!(join_requests -> users (user_id));
diesel::joinable!(members -> organizations (organization_id));
diesel::joinable!(members -> users (user_id));
diesel::joinable!(workspaces -> organizations (organization_id));
diesel::joinable!(workspace_members -> workspaces (workspace_id));
diesel::joinable!(workspace_members -> users (user_id));
diesel::joinable!(api_keys -> organizations (organization_id));
diesel::joinable!(api_key_workspaces -> api_keys (api_key_id));
diesel::joinable!(api_key_workspaces -> workspaces (workspace_id));
diesel::joinable!(applications -> organizations (organization_id));
diesel::joinable!(application_redirect_uris -> applications (application_id));
diesel::joinable!(approved_redirect_uris -> applications (application_id));
diesel::joinable!(application_secrets -> applications (application_id));
diesel::joinable!(resource_server_secrets -> resource_servers (resource_server_id));
diesel::joinable!(resources -> resource_servers (resource_server_id));
diesel::joinable!(registration_tokens -> organizations (organization_id));
diesel::joinable!(registrations -> applications (application_id));
diesel::joinable!(registrations -> registration_tokens (registration_token_id));
diesel::joinable!(sessions -> users (user_id));
diesel::joinable!(authorization_requests -> applications (application_id));
diesel::joinable!(consents -> applications (application_id));
diesel::joinable!(consents -> organizations (organization_id));
diesel::joinable!(consents -> users (user_id));
diesel::joinable!(consent_workspaces -> consents (consent_id));
diesel::joinable!(consent_workspaces -> workspaces (workspace_id));
diesel::joinable!(authorizations -> consents (consent_id));
diesel::joinable!(authorizations -> applications (application_id));
diesel::joinable!(authorizations -> organizations (organization_id));
diesel::joinable!(authorizations -> users (user_id));
diesel::joinable!(authorization_workspaces -> authorizations (authorization_id));
diesel::joinable!(authorization_workspaces -> workspaces (workspace_id));
diesel::joinable!(refresh_tokens -> authorizations (authorization_id));
diesel::joinable!(access_tokens -> authorizations (authorization_id));
diesel::joinable!(identity_providers -> organizations (organization_id));
diesel::joinable!(identities -> users (user_id));
diesel::joinable!(operator_tokens -> users (user_id));
diesel::joinable!(management_tokens -> users (user_id));
diesel::joinable!(management_token_workspaces -> management_tokens (management_token_id));

diesel::allow_tables_to_appear_in_same_query!(
    organizations,
    subscriptions,
    domains,
    users,
    members,
    workspaces,
    workspace_members,
    roles,
    invitations,
    invitation_workspaces,
    join_requests,
    api_keys,
    retired_api_keys,
    api_key_workspaces,
    api_key_secrets,
    secret_disclosures,
    applications,
    application_redirect_uris,
    approved_redirect_uris,
    application_secrets,
    resource_servers,
    resource_server_secrets,
    resources,
    registration_tokens,
    registrations,
    sessions,
    authorization_requests,
    consents,
    consent_workspaces,
    authorizations,
    authorization_workspaces,
    refresh_tokens,
    access_tokens,
    revoked_tokens,
    signing_keys,
    identity_providers,
    identities,
    management_tokens,
    management_token_workspaces,
    operator_tokens,
    idempotency_keys,
    limit_windows,
    audit_events,
);
